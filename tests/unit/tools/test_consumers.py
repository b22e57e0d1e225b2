"""What arrives on the bus besides calls: dead letters, questions, and the end of the process."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.gateway.tool_loop import client as tools_client
from services.gateway.tool_loop.client import ToolsClient
from services.tools.app import compose
from services.tools.consumers import DeadLetters
from services.tools.opening import Opening
from shared import clock
from shared.bus import Inbox, Message, Queue
from shared.bus_memory import MemoryBus
from shared.config import LiveConfig
from shared.config.schema import Config
from shared.errors import BusUnroutable, Unavailable
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


async def test_a_pool_that_a_change_of_the_configuration_adds_is_served(
    part: tuple[Part, Resources], eventually
) -> None:
    tools, resources = part
    running = [asyncio.ensure_future(worker()) for worker in tools.workers.values()]
    await eventually(lambda: tools.checks["tools"].__self__._announcer.up_to_date, 5)
    server = {"command": ["/nonexistent/server"], "pool": "slow"}
    resources.config.replace(Config.model_validate({"tools": {"mcp": {"late": server}}}))
    async with resources.bus.inbox() as inbox:
        run = RunTool(call_id="c", request_id="r", tool="late__t", arguments={}, deadline=clock.now() + 30)

        async def sent() -> bool:
            try:
                await resources.bus.send(call_queue("slow").name, Message(encode(run), reply_to=inbox.address))
            except BusUnroutable:
                return False
            return True

        await eventually(sent, 2)
        async with asyncio.timeout(20):
            events = [decode(message.body, ToolEvent) async for message in _until_final(inbox)]
    assert (events[-1].kind, events[-1].code) == ("error", "unknown_tool")
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def _until_final(inbox: Inbox) -> AsyncIterator[Message]:
    async for message in inbox:
        yield message
        if decode(message.body, ToolEvent).final:
            return


async def test_what_a_change_of_the_configuration_adds_or_removes_is_told(
    part: tuple[Part, Resources], eventually
) -> None:
    tools, resources = part
    client = ToolsClient(resources)
    running = [asyncio.ensure_future(worker()) for worker in tools.workers.values()]
    running.append(asyncio.ensure_future(client.run()))
    await asyncio.wait_for(client.settled(), 5)
    await eventually(lambda: client.catalogue.find("builtin__calculate"), 5)
    settings = {"builtin": False, "unifai": {"api_key": "k"}}
    resources.config.replace(Config.model_validate({"tools": settings}))
    await eventually(lambda: {tool["server"] for tool in client.tools(None)} == {"unifai"}, 1)
    assert [server["name"] for server in client.servers(None)] == ["unifai"]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def test_a_gateway_that_has_just_started_waits_for_the_workers_and_not_for_ever(
    part: tuple[Part, Resources], monkeypatch: pytest.MonkeyPatch
) -> None:
    tools, resources = part
    monkeypatch.setattr(tools_client, "SETTLE_SECONDS", 0.3)
    alone = ToolsClient(resources)
    running = [asyncio.ensure_future(alone.run())]
    with pytest.raises(Unavailable):
        await alone.check()
    await asyncio.wait_for(alone.settled(), 2)
    await alone.check()
    assert alone.tools(None) == []
    running += [asyncio.ensure_future(worker()) for worker in tools.workers.values()]
    monkeypatch.setattr(tools_client, "SETTLE_SECONDS", 5)
    late = ToolsClient(resources)
    running.append(asyncio.ensure_future(late.run()))
    await asyncio.wait_for(late.settled(), 5)
    assert late.catalogue.find("builtin__calculate")
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
