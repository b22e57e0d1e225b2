"""A running Tollway for system tests: embedded, or five processes on real servers; a scripted provider behind it."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from tests.ports import free_port

ROOT = pathlib.Path(__file__).parents[2]
ADMIN = "admin-token-of-the-system-tests"
INTERNAL = "internal-token-of-the-system-tests"
SERVICES = ("router", "tools", "usage", "reports", "gateway")
BEHAVIOURS = (
    "ok",
    "echo",
    "history",
    "tool",
    "tools2",
    "toolloop",
    "rounds",
    "long-100",
    "slow-20",
    "slow-100",
    "slow-500",
    "cut",
    "think",
    "s429",
    "s500",
    "hang",
)


def get(url: str, *, admin: bool = True, body: Any = None, method: str | None = None) -> Any:
    headers = {"content-type": "application/json", **({"authorization": f"Bearer {ADMIN}"} if admin else {})}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=30) as answer:
        return json.loads(answer.read() or b"null")


def wait_for(condition: Any, seconds: float = 20.0, what: str = "the condition") -> Any:
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError, urllib.error.URLError):
            if found := condition():
                return found
        assert time.monotonic() < end, f"{what} did not come true within {seconds} s"
        time.sleep(0.05)


@dataclass
class Stack:
    """Start it, use `url`, kill parts of it by name, start them again."""

    data: pathlib.Path
    split: dict[str, str] | None = None  # the servers' URLs; None = everything in one process
    config: dict[str, Any] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)
    replicas: tuple[str, ...] = ()  # more of a service when split, named after it: "gateway2"
    module: str = "services"  # what is run as the `tollway` command
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.provider_port = free_port()
        self.ports = {name: free_port() for name in (*SERVICES, *self.replicas)}
        self.url = f"http://127.0.0.1:{self.ports['gateway']}"
        self.provider_url = f"http://127.0.0.1:{self.provider_port}"
        self.config_path = self.data / "tollway.yaml"
        self.write_config()

    def write_config(self, **changes: Any) -> None:
        self.config.update(changes)
        made = {**self._base(), **self.config}
        draft = self.config_path.with_suffix(".new")
        draft.write_text(yaml.safe_dump(made, sort_keys=False))
        draft.replace(self.config_path)

    def _base(self) -> dict[str, Any]:
        models = {}
        for name in BEHAVIOURS:
            models[f"o-{name}"] = {"targets": [{"provider": "fake_openai", "model": name}]}
            models[f"a-{name}"] = {"targets": [{"provider": "fake_anthropic", "model": name}]}
        return {
            "providers": {
                "fake_openai": {"protocol": "openai", "base_url": f"{self.provider_url}/v1", "api_key": "sk-o"},
                "fake_anthropic": {"protocol": "anthropic", "base_url": self.provider_url, "api_key": "sk-a"},
            },
            "models": models,
            "routing": {
                "unknown_model": "error",
                "cooldown_seconds": 2,
                "timeouts": {"connect": 2, "first_byte": 5, "idle": 5, "total": 60},
            },
            "tools": {"mcp": {"time": {"command": [sys.executable, "-m", "mcp_server_time"]}}},
        }

    def _environ(self, name: str) -> dict[str, str]:
        clean = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("TOLLWAY_", "OPENAI_", "ANTHROPIC_", "DEGPT_")) and key != "TOKEN"
        }
        made = {**clean, "PYTHONPATH": str(ROOT), "TOLLWAY_ADMIN_TOKEN": ADMIN, **self.environ}
        if self.split is not None:
            made |= {
                "TOLLWAY_DATABASE_URL": self.split["postgres"],
                "TOLLWAY_BUS_URL": self.split["rabbitmq"],
                "TOLLWAY_CACHE_URL": self.split["redis"],
                "TOLLWAY_INTERNAL_TOKEN": INTERNAL,
                "TOLLWAY_URL": self.url,
                **{
                    f"TOLLWAY_{part.upper()}_URL": f"http://127.0.0.1:{self.ports[part]}"
                    for part in ("router", "usage", "reports")
                },
            }
        del name
        return made

    def start(self) -> "Stack":
        self._spawn("provider", [sys.executable, str(ROOT / "tests/fakes/model_provider.py"), str(self.provider_port)])
        for name in self.services:
            self.start_service(name)
        self.wait_ready()
        return self

    def start_service(self, name: str) -> None:
        listen = ["--port", str(self.ports[name] if self.split is not None else self.ports["gateway"])]
        rest = ["--config", str(self.config_path), "--data", str(self.data / name)]
        verb = ["up"] if self.split is None else ["serve", name.rstrip("23456789")]
        self._spawn(name, [sys.executable, "-m", self.module, *verb, *listen, *rest])

    def wait_ready(self, seconds: float = 120.0) -> None:
        for name in self.services:
            port = self.ports["gateway"] if name == "tollway" else self.ports[name]
            wait_for(lambda port=port: self._is_ready(port), seconds, f"{name} is ready")

    @property
    def services(self) -> tuple[str, ...]:
        return ("tollway",) if self.split is None else (*SERVICES, *self.replicas)

    @staticmethod
    def _is_ready(port: int) -> bool:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=3) as answer:
            return bool(answer.status == 200)

    def _spawn(self, name: str, command: list[str]) -> None:
        log = (self.data / f"{name}.log").open("ab")
        self.processes[name] = subprocess.Popen(
            command, cwd=ROOT, env=self._environ(name), stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        log.close()

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        process = self.processes[name]
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        return process.wait(60)

    def log(self, name: str) -> str:
        return (self.data / f"{name}.log").read_text(errors="replace")

    def usage(self, path: str) -> Any:
        return get(f"{self.url}/api/ai_usage/{path}")

    def events(self, count: int = 1, seconds: float = 15.0, **query: Any) -> list[dict[str, Any]]:
        """At least that many events of a request, session or of all; waits for them."""
        asked = "&".join(f"{key}={value}" for key, value in {"limit": 500, **query}.items())

        def found() -> list[dict[str, Any]] | None:
            rows = self.usage(f"events?{asked}")["events"]
            return rows if len(rows) >= count else None

        return wait_for(found, seconds, f"{count} event(s) of {query}")

    def provider_books(self) -> list[dict[str, Any]]:
        return get(f"{self.provider_url}/ledger")["calls"]

    def stop(self) -> None:
        for name in reversed(list(self.processes)):
            if self.processes[name].poll() is None:
                number = signal.SIGKILL if name == "provider" else signal.SIGTERM
                try:
                    self.kill(name, number)
                except subprocess.TimeoutExpired:
                    self.kill(name)


@contextlib.contextmanager
def running(stack: Stack) -> Iterator[Stack]:
    try:
        yield stack.start()
    except BaseException:
        for name in stack.processes:
            print(f"--- {name}\n{stack.log(name)[-3000:]}", file=sys.stderr)
        raise
    finally:
        stack.stop()
