"""What arrives on the bus besides calls: dead letters, questions, and the end of the process."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.gateway.tools_client import ToolsClient
from services.tools.app import compose
from services.tools.consumers import DeadLetters
from services.tools.opening import Opening
from shared import clock
from shared.bus import Message, Queue
from shared.bus_memory import MemoryBus
from shared.config import LiveConfig
from shared.config.schema import Config
from shared.errors import Unavailable
from shared.messages.envelope import decode, encode
from shared.messages.tools import DEAD_QUEUE, RunTool, ToolEvent, call_queue
from shared.service import Part, Resources, open_resources
from shared.settings import Settings
from shared.tasks import Tasks


async def test_a_call_that_no_worker_took_in_time_is_answered_all_the_same() -> None:
    bus, opening = MemoryBus(), Opening(1)
    opening.queues_made.set()
    await bus.declare(Queue(DEAD_QUEUE), call_queue("mcp"))
    letters = asyncio.ensure_future(DeadLetters(bus, Tasks(), opening, "w").run())
    async with bus.inbox() as inbox:
        run = RunTool(call_id="c", request_id="r", tool="s__t", arguments={}, deadline=clock.now() + 5)
        message = Message(encode(run), reply_to=inbox.address, expires_seconds=0.02)
        await bus.send(call_queue("mcp").name, message)
        async with asyncio.timeout(2):
            event = decode((await anext(aiter(inbox))).body, ToolEvent)
    letters.cancel()
    assert (event.kind, event.code) == ("error", "timeout")


@pytest.fixture
async def part(tmp_path: Path) -> AsyncIterator[tuple[Part, Resources]]:
    async with open_resources(Settings(data=tmp_path), LiveConfig(Config()), database=False) as (resources, _):
        yield await compose(resources), resources


async def test_the_part_is_ready_once_its_sources_are_announced(part: tuple[Part, Resources], eventually) -> None:
    tools, resources = part
    with pytest.raises(Unavailable):
        await tools.checks["tools"]()
    client = ToolsClient(resources)
    running = [asyncio.ensure_future(worker()) for worker in tools.workers.values()]
    running.append(asyncio.ensure_future(client.run()))

    async def ready() -> bool:
        try:
            await tools.checks["tools"]()
        except Unavailable:
            return False
        return True

    await eventually(ready, 5)
    await eventually(lambda: client.tools(None), 5)
    assert [tool["name"] for tool in client.tools(None)] == sorted(tool["name"] for tool in client.tools(None))
    assert client.servers(None)[0]["state"] == "ready"
    for task in running[:-1]:
        task.cancel()
    await eventually(lambda: not client.tools(None), 5)
    running[-1].cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def test_a_gateway_that_comes_late_asks_who_is_there(part: tuple[Part, Resources], eventually) -> None:
    tools, resources = part
    running = [asyncio.ensure_future(worker()) for worker in tools.workers.values()]
    await eventually(lambda: tools.checks["tools"].__self__._announcer.up_to_date, 5)
    client = ToolsClient(resources)
    running.append(asyncio.ensure_future(client.run()))
    await eventually(lambda: client.tools(None), 1)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
