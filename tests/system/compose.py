"""The stack in containers for system tests: a project of its own, on ports and with a configuration of its own."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import yaml

from tests import conftest
from tests.ports import free_port
from tests.system.stack import wait_for

ROOT = pathlib.Path(__file__).parents[2]
TOKEN, ADMIN = "compose-test-token", "compose-test-admin"
SERVICES = ("gateway", "router", "tools", "usage", "reports")
SERVERS = ("postgres", "redis", "rabbitmq")
BEHAVIOURS = ("ok", "echo", "tool", "toolloop", "slow-20", "slow-100", "cut")
_CONTEXT = ("docker-compose.yml", "Dockerfile", ".dockerignore", "pyproject.toml", "uv.lock", "README.md",
            "services", "shared", "deploy", "sdk/src", "sdk/pyproject.toml", "sdk/README.md")  # fmt: skip


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-2000:]
    return done.stdout.strip()


class Compose:
    """Brought up from a copy of the project, as from a fresh clone."""

    def __init__(self, folder: pathlib.Path, *, scale: bool = False) -> None:
        self.folder, self.scale = folder, scale
        self.project = "tollway-test-scale" if scale else "tollway-test"
        ports = {name: free_port() for name in ("GATEWAY", "USAGE", "DOOR")}
        self.url = f"http://127.0.0.1:{ports['DOOR' if scale else 'GATEWAY']}"
        for name in _CONTEXT:
            source, target = ROOT / name, folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        (folder / "config").mkdir()
        self.config = _config()
        self.write_config()
        (folder / ".env").write_text(f"TOKEN={TOKEN}\nTOLLWAY_ADMIN_TOKEN={ADMIN}\nPROVIDER_KEY=key-of-the-provider\n")
        self.environ = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("TOLLWAY_", "COMPOSE_"))},
            "COMPOSE_PROJECT_NAME": self.project,
            **{f"TOLLWAY_{name}_PORT": str(port) for name, port in ports.items()},
        }
        self.environ.pop("TOKEN", None)

    def write_config(self) -> None:
        draft = self.folder / "config" / "tollway.new"
        draft.write_text(yaml.safe_dump(self.config))
        draft.replace(draft.with_suffix(".yaml"))

    def run(self, *arguments: str, seconds: float = 600) -> str:
        files = ["-f", "docker-compose.yml", "-f", "deploy/scale.yaml", "--profile", "scale"] if self.scale else []
        done = subprocess.run(
            ["docker", "compose", *files, *arguments],
            cwd=self.folder, env=self.environ, capture_output=True, text=True, timeout=seconds, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        return done.stdout

    def up(self, *more: str) -> None:
        self.run("up", "--detach", "--wait", *more)

    def down(self, *more: str) -> None:
        self.run("down", "--timeout", "40", *more)

    def containers(self, service: str) -> list[str]:
        return self.run("ps", "--quiet", service).split()

    def start_outsiders(self) -> None:
        """The scripted provider and an MCP server, in the stack's outer network, from images that have what they need."""
        self.stop_outsiders()
        for name, image, program, port in (
            ("provider", "tollway-router", "model_provider.py", "9000"),
            ("mcp", "tollway-tools", "mcp_server.py", "9100"),
        ):
            docker("run", "-d", "--no-healthcheck", "--name", f"{self.project}-{name}", "--network", f"{self.project}_outside", "--network-alias", name,
                   "-v", f"{ROOT / 'tests'}:/fakes/tests:ro", "--entrypoint", "python", "-e", "PYTHONPATH=/fakes:/app",
                   "-e", "HOST=0.0.0.0", image, f"/fakes/tests/fakes/{program}", port)  # fmt: skip
        wait_for(self._provider_answers, 120, "the provider answers")

    def _provider_answers(self) -> bool:
        try:
            return self.provider_books() == []
        except AssertionError:  # its process is not listening yet
            return False

    def stop_outsiders(self) -> None:
        for name in ("provider", "mcp"):
            subprocess.run(["docker", "rm", "-f", f"{self.project}-{name}"], capture_output=True, check=False)

    def ask(self, path: str, body: object = None, method: str | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {ADMIN}", "content-type": "application/json"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def provider_books(self) -> list[dict[str, Any]]:
        script = "import urllib.request;print(urllib.request.urlopen('http://127.0.0.1:9000/ledger').read().decode())"
        return json.loads(docker("exec", f"{self.project}-provider", "python", "-c", script))["calls"]

    def booked(self) -> list[dict[str, Any]]:
        """Every event of a model in the ledger."""
        found, cursor = [], ""
        while cursor is not None:
            page = self.ask(
                f"/api/ai_usage/events?limit=500&cursor={cursor}" if cursor else "/api/ai_usage/events?limit=500"
            )
            found += page["events"]
            cursor = page["next_cursor"]
        return [event for event in found if event["kind"] == "model" and event["provider"] in ("openai", "anthropic")]

    def balanced(self, seconds: float = 60) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The provider's books and ours, once there are as many entries in both."""

        def equal() -> Any:
            theirs, ours = self.provider_books(), self.booked()
            return (theirs, ours) if len(theirs) == len(ours) else None

        try:
            return wait_for(equal, seconds, "the books are equal")
        except AssertionError:
            return self.provider_books(), self.booked()


def _config() -> dict[str, Any]:
    return {
        "providers": {
            "openai": {"protocol": "openai", "base_url": "http://provider:9000/v1", "api_key": "${PROVIDER_KEY}"},
            "anthropic": {"protocol": "anthropic", "base_url": "http://provider:9000", "api_key": "${PROVIDER_KEY}"},
        },
        "models": {
            f"{kind[0]}-{name}": {"targets": [{"provider": kind, "model": name}]}
            for kind in ("openai", "anthropic")
            for name in BEHAVIOURS
        },
        "routing": {"cooldown_seconds": 2},
        "tools": {"mcp": {"fake": {"url": "http://mcp:9100/mcp", "allow_private": True}}},
        "usage": {"prices": {"ok": {"input": 0.01, "output": 0.03}}},
    }


@contextmanager
def stack(*, scale: bool = False, replicas: Sequence[str] = ()) -> Iterator[Compose]:
    """Built, up and healthy, with its provider; gone afterwards, volumes and all."""
    if os.environ.get("TOLLWAY_TEST_COMPOSE") != "1":
        conftest.UNUSED["compose"] = "set TOLLWAY_TEST_COMPOSE=1"
        pytest.skip("set TOLLWAY_TEST_COMPOSE=1")
    if not conftest.servers.docker_answers():
        conftest.missing("docker", "no engine answers")
    with tempfile.TemporaryDirectory(prefix="tollway-compose-", ignore_cleanup_errors=True) as folder:
        made = Compose(pathlib.Path(folder), scale=scale)
        try:
            made.run("build", "--quiet", seconds=1200)
            made.up(*replicas)
            made.start_outsiders()
            yield made
        except BaseException:
            with suppress(AssertionError, subprocess.TimeoutExpired):
                print(made.run("ps", "--all"), made.run("logs", "--tail", "60")[-20_000:])
            raise
        finally:
            made.stop_outsiders()
            made.down("--volumes")
