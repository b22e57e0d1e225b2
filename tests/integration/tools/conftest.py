"""Worker processes on a real broker, and a gateway's client of them in this process."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.gateway.tool_loop.client import ToolsClient
from shared import clock, ids
from shared.config import LiveConfig
from shared.config.schema import Config
from shared.messages.tools import RunTool, ToolEvent
from shared.service import open_resources
from shared.settings import Settings

ROOT = Path(__file__).parents[3]
MODULE = '''
"""Tools that leave traces in files."""

import asyncio
from pathlib import Path

HERE = Path(__file__).parent


def note(word):
    with (HERE / "trace").open("a") as trace:
        trace.write(word + "\\n")


async def nothing() -> str:
    """Answers at once."""
    return "ok"


async def act(name: str) -> str:
    """Has a side effect, and takes its time."""
    note(f"act {name}")
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        note(f"act {name} cancelled")
        raise
    return "done"


async def read(name: str) -> str:
    """Only reads: the first time it takes for ever, the next time it answers."""
    seen = (HERE / "trace").exists() and f"read {name}" in (HERE / "trace").read_text()
    note(f"read {name}")
    if not seen:
        await asyncio.sleep(60)
    return "read"


read.idempotent = True
nothing.idempotent = True
registry = [nothing, act, read]
'''


@dataclass
class Workers:
    folder: Path
    environment: dict[str, str]
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> subprocess.Popen[bytes]:
        data = self.folder / f"worker-{len(self.started)}"
        command = [sys.executable, "-c", "from services.cli import main; main()", "serve", "tools", "--port", "0"]
        with (self.folder / f"worker-{len(self.started)}.log").open("wb") as log:
            process = subprocess.Popen(
                [*command, "--config", str(self.folder / "tollway.yaml")],
                cwd=ROOT,
                env={**self.environment, "TOLLWAY_DATA": str(data)},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def trace(self) -> list[str]:
        path = self.folder / "trace"
        return path.read_text().split("\n") if path.exists() else []


@pytest.fixture
def workers(tmp_path: Path, amqp_url: str, redis_url: str) -> Iterator[Workers]:
    (tmp_path / "operator_tools.py").write_text(MODULE)
    (tmp_path / "tollway.yaml").write_text(yaml.safe_dump({"tools": {"python": ["operator_tools:registry"]}}))
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
        "PYTHONPATH": str(ROOT),
        "TOLLWAY_BUS_URL": amqp_url,
        "TOLLWAY_CACHE_URL": redis_url,
    }
    running = Workers(tmp_path, environment)
    yield running
    for process in running.started:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait(10)


class Caller:
    def __init__(self, client: ToolsClient) -> None:
        self.client = client

    async def call(self, name: str, arguments: dict[str, Any], seconds: float = 30) -> list[ToolEvent]:
        spec = self.client.catalogue.find(name)
        assert spec is not None
        run = RunTool(
            call_id=ids.new_id(), request_id="r", tool=name, arguments=arguments, deadline=clock.now() + seconds
        )
        async with self.client.running(run, spec) as events:
            return [event async for event in events]


@pytest.fixture
async def caller(tmp_path: Path, amqp_url: str) -> AsyncIterator[Caller]:
    settings = Settings(data=tmp_path / "gateway", bus_url=amqp_url)
    async with open_resources(settings, LiveConfig(Config()), database=False) as (resources, _):
        client = ToolsClient(resources)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(client.run())
            yield Caller(client)
            running.cancel()
