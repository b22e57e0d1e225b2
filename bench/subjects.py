"""Who is measured: Tollway as gateway and router in two processes, the bare hops, and the peers that can be had here."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field

import yaml

from bench import peers
from bench.peers import NotHere
from tests import servers
from tests.ports import free_port

ROOT = pathlib.Path(__file__).parents[1]
KEY = "bench-token-of-this-machine"


@dataclass
class Subject:
    """Something that forwards chat completions to the provider."""

    name: str
    url: str
    processes: list[subprocess.Popen[bytes]]
    headers: dict[str, str] = field(default_factory=dict)
    model: str = "bench"

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self.processes]

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()


def spawn(command: list[str], folder: pathlib.Path, **environ: str) -> subprocess.Popen[bytes]:
    with (folder / "output.log").open("ab") as log:
        return subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), **environ}, stdout=log, stderr=log
        )


def answering(url: str, body: dict[str, object], headers: dict[str, str], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            request = urllib.request.Request(
                url, json.dumps(body).encode(), {"content-type": "application/json", **headers}
            )
            with urllib.request.urlopen(request, timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError as error:
            if time.monotonic() > end:
                raise NotHere(f"{url} does not answer: {error}") from error
            time.sleep(0.2)


def bare(hops: int, provider: str, folder: pathlib.Path) -> Subject:
    processes, target = [], provider
    for _ in range(hops):
        port = free_port()
        processes.append(spawn([sys.executable, "-m", "bench.bare", str(port), target], folder))
        target = f"http://127.0.0.1:{port}"
    return Subject(
        f"{hops} bare hop{'s' if hops > 1 else ''} (uvicorn + aiohttp)", f"{target}/v1/chat/completions", processes
    )


def tollway(provider: str, folder: pathlib.Path) -> Subject:
    """Gateway and router as processes of their own, keys and metering on."""
    config = folder / "tollway.yaml"
    models = {name: {"targets": [{"provider": "bench", "model": name}]} for name in ("bench", "paced-250")}
    config.write_text(
        yaml.safe_dump(
            {
                "providers": {"bench": {"base_url": f"{provider}/v1", "api_key": "x"}},
                "models": models,
                "usage": {"prices": {"bench": {"input": 0.01, "output": 0.03}}},
            }
        )
    )
    ports = {name: free_port() for name in ("gateway", "router")}
    environ = {
        "TOKEN": KEY,
        "TOLLWAY_ADMIN_TOKEN": "bench-admin",
        "TOLLWAY_INTERNAL_TOKEN": "bench-internal",
        "TOLLWAY_ROUTER_URL": f"http://127.0.0.1:{ports['router']}",
        "TOLLWAY_DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'bench.db'}",
        "TOLLWAY_BUS_URL": servers.url("rabbitmq"),  # events are published with confirms while we measure
    }
    processes = [
        spawn(
            [
                sys.executable,
                "-m",
                f"services.{name}",
                "--port",
                str(port),
                "--config",
                str(config),
                "--data",
                str(folder / name),
            ],
            folder,
            **environ,
        )
        for name, port in ports.items()
    ]
    return Subject(
        "Tollway (gateway + router)",
        f"http://127.0.0.1:{ports['gateway']}/v1/chat/completions",
        processes,
        {"authorization": f"Bearer {KEY}"},
    )


def nginx(provider: str, folder: pathlib.Path) -> Subject:
    program = shutil.which("nginx")
    if program is None:
        raise NotHere("nginx is not installed")
    port = free_port()
    path = folder / "nginx.conf"
    path.write_text(
        f"worker_processes 1; pid {folder}/pid; error_log {folder}/error.log; events {{}} http {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;"
        f" fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; upstream p {{ server {provider.removeprefix('http://')}; keepalive 32; }}"
        f" server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://p; proxy_http_version 1.1; proxy_set_header Connection ''; proxy_buffering off; }} }} }}"
    )
    process = spawn([program, "-c", str(path), "-g", "daemon off;"], folder)
    return Subject("nginx (plain proxy)", f"http://127.0.0.1:{port}/v1/chat/completions", [process])


def portkey(provider: str, folder: pathlib.Path) -> Subject:
    port = free_port()
    command = [*peers.portkey(), f"--port={port}", "--headless"]
    headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": f"{provider}/v1", "authorization": "Bearer x"}
    return Subject(
        "Portkey gateway",
        f"http://127.0.0.1:{port}/v1/chat/completions",
        [spawn(command, folder, NODE_ENV="production")],
        headers,
    )


def litellm(provider: str, folder: pathlib.Path) -> Subject:
    program, port = peers.litellm(), free_port()
    path = folder / "litellm.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "model_list": [
                    {
                        "model_name": "bench",
                        "litellm_params": {"model": "openai/bench", "api_base": f"{provider}/v1", "api_key": "x"},
                    }
                ],
                "litellm_settings": {"set_verbose": False},
            }
        )
    )
    key = f"sk-{KEY}"  # it starts with a key only
    environ = {
        "LITELLM_LOG": "ERROR",
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_MASTER_KEY": key,
    }
    process = spawn([program, "--config", str(path), "--port", str(port), "--host", "127.0.0.1"], folder, **environ)
    headers = {"authorization": f"Bearer {key}"}
    return Subject("LiteLLM proxy", f"http://127.0.0.1:{port}/v1/chat/completions", [process], headers)
