"""A tool loop over a memory bus with a real worker behind it; only the model is scripted."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from services.gateway.tool_loop.client import ToolsClient
from services.gateway.tool_loop.loop import ToolLoop
from services.gateway.tool_loop.selection import ToolSelection
from services.tools.app import compose
from services.tools.providers import python as python_tools
from shared.config import LiveConfig
from shared.config.schema import Config
from shared.messages.envelope import Named, decode
from shared.messages.gateway import Call
from shared.messages.router import AttemptEnded
from shared.service import Resources, open_resources
from shared.settings import Settings
from shared.wire.anthropic import AnthropicAccumulator
from shared.wire.openai import OpenAIAccumulator
from shared.wire.sse import DONE, SseReader
from shared.wire.tool_call import ToolImage
from tests.unit.gateway_tools.scripted_model import ScriptedModel


class Handlers:
    """The Python tools of the tests, and what they saw."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.started = asyncio.Event()
        self.release = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.beside = 0
        self.most_beside = 0

    async def look_up(self, q: str = "") -> str:
        """Looks something up."""
        self.ran.append(f"look_up {q}")
        return f"found {q}"

    async def second(self, q: str = "") -> str:
        """Looks elsewhere."""
        self.ran.append(f"second {q}")
        return f"second {q}"

    async def wait(self) -> str:
        """Waits until it is let go."""
        self.started.set()
        self.beside += 1
        self.most_beside = max(self.most_beside, self.beside)
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        finally:
            self.beside -= 1
        return "let go"

    async def streams(self, count: int = 3) -> AsyncIterator[str]:
        """Says its answer piece by piece."""
        for number in range(count):
            yield f"piece {number} "

    async def long(self) -> str:
        """Answers at length."""
        return "head " + "x" * 50_000 + " tail"

    async def fails(self) -> str:
        """Raises."""
        raise ValueError("it broke")

    def all(self) -> list[Callable[..., Any]]:
        return [self.look_up, self.second, self.wait, self.streams, self.long, self.fails]


@dataclass
class Seen:
    """What the observer heard, in order with the chunks."""

    events: list[tuple[Any, ...]] = field(default_factory=list)

    def tool_call(self, call_id: str, name: str, arguments: dict[str, Any]) -> None:
        self.events.append(("call", call_id, name, json.dumps(arguments)))

    def tool_chunk(self, call_id: str, content: str) -> None:
        self.events.append(("chunk", call_id, content))

    def tool_result(self, call_id: str, result: str, images: Sequence[ToolImage] = ()) -> None:
        self.events.append(("result", call_id, result, *images))


@dataclass
class Bench:
    resources: Resources
    client: ToolsClient
    handlers: Handlers

    def loop(self, model: ScriptedModel) -> ToolLoop:
        return ToolLoop(model, self.client, self.resources)

    def tool_events(self) -> list[AttemptEnded]:
        return [decode(item.body, AttemptEnded) for item in self.resources.spool.pending(1000)]

    async def ask(
        self,
        model: ScriptedModel,
        dialect: str = "openai",
        *,
        stream: bool = False,
        wanted: tuple[str, ...] | None = ("*",),
        allowed: tuple[str, ...] | None = None,
        observer: Seen | None = None,
        scope: str = "k",
        **extra: Any,
    ) -> tuple[Any, dict[str, Any]]:
        """The answer and its body, streams added up as the vendor's client would."""
        call = make_call(dialect, stream=stream, **extra)
        selection = None if wanted is None else ToolSelection(wanted, allowed, scope, observer)
        answer = await self.loop(model).call(call, selection)
        return answer, summed(dialect, stream, [chunk async for chunk in answer.chunks])


def make_call(dialect: str = "openai", *, stream: bool = False, **extra: Any) -> Call:
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        **({"stream": True} if stream else {}),
        **extra,
    }
    return Call(
        request_id="req",
        dialect=dialect,  # type: ignore[arg-type]
        model="m",
        body=json.dumps(body).encode(),
        stream=stream,
        include_usage=stream,
        named=Named(key_id="k"),
    )


def summed(dialect: str, stream: bool, chunks: list[bytes]) -> dict[str, Any]:
    if not stream:
        return json.loads(b"".join(chunks))
    total = OpenAIAccumulator() if dialect == "openai" else AnthropicAccumulator()
    reader = SseReader()
    frames = [event.data for chunk in chunks for event in reader.feed(chunk)]
    for frame in frames:
        if frame != DONE:
            total.feed(json.loads(frame))
    answer = total.answer()
    answer["frames"] = [frame if frame == DONE else json.loads(frame) for frame in frames]
    return answer


@pytest.fixture
def limits() -> dict[str, Any]:
    return {}


@pytest.fixture
def tools_config() -> dict[str, Any]:
    return {}


@pytest.fixture
async def bench(tmp_path: Path, limits: dict[str, Any], tools_config: dict[str, Any]) -> AsyncIterator[Bench]:
    handlers = Handlers()
    names = ("tests.handlers:all",)
    config = LiveConfig(Config.model_validate({"tools": {"python": names, "limits": limits, **tools_config}}))
    original = python_tools._attribute
    python_tools._attribute = lambda name: handlers.all()  # the operator's module, without a file for it
    settings = Settings(data=tmp_path)
    async with open_resources(settings, config, database=False) as (resources, _):
        try:
            part = await compose(resources)
        finally:
            python_tools._attribute = original
        client = ToolsClient(resources)
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(worker()) for worker in part.workers.values()]
            running.append(group.create_task(client.run()))
            async with asyncio.timeout(5):
                while client.catalogue.find("python__look_up") is None:
                    await asyncio.sleep(0.005)
            yield Bench(resources, client, handlers)
            handlers.release.set()
            await resources.tasks.drain(1)
            for task in running:
                task.cancel()
