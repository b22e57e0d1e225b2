"""Calls over RabbitMQ: quick when all is well, and with exactly one outcome whatever dies."""

import asyncio
import os
import signal
import statistics
import time

import pytest

from shared.messages.tools import ToolSpec

pytestmark = pytest.mark.timeout(90)


async def test_a_call_goes_to_a_worker_and_back_quickly(workers, caller, eventually, record_property) -> None:
    workers.start()
    await eventually(lambda: caller.client.catalogue.find("python__nothing"), 30)
    (started, result) = await caller.call("python__nothing", {})
    assert (started.kind, result.kind, result.content) == ("started", "result", "ok")
    took = []
    for _ in range(200):
        began = time.perf_counter()
        await caller.call("python__nothing", {})
        took.append((time.perf_counter() - began) * 1000)
    began = time.perf_counter()
    await asyncio.gather(*(caller.call("python__nothing", {}) for _ in range(500)))
    rate = 500 / (time.perf_counter() - began)
    record_property("p50_ms", statistics.median(took))
    record_property("calls_per_second", rate)
    print(f"tool round trip over RabbitMQ: p50 {statistics.median(took):.1f} ms, {rate:.0f} calls/s")
    assert statistics.median(took) < 100


async def test_a_worker_killed_in_a_side_effect_leaves_an_unknown_outcome_and_it_runs_once(
    workers, caller, eventually
) -> None:
    first = workers.start()
    await eventually(lambda: caller.client.catalogue.find("python__act"), 30)
    calling = asyncio.ensure_future(caller.call("python__act", {"name": "a"}))
    await eventually(lambda: "act a" in workers.trace(), 10)
    workers.start()
    os.killpg(first.pid, signal.SIGKILL)
    events = await asyncio.wait_for(calling, 20)
    assert events[-1].code == "outcome_unknown"
    assert workers.trace().count("act a") == 1


async def test_a_worker_killed_in_an_idempotent_call_has_it_run_again_elsewhere(workers, caller, eventually) -> None:
    first = workers.start()
    await eventually(lambda: caller.client.catalogue.find("python__read"), 30)
    calling = asyncio.ensure_future(caller.call("python__read", {"name": "b"}, 60))
    await eventually(lambda: "read b" in workers.trace(), 10)
    workers.start()
    await eventually(lambda: len(caller.client.catalogue._workers) == 2, 30)
    os.killpg(first.pid, signal.SIGKILL)
    events = await asyncio.wait_for(calling, 40)
    assert events[-1].content == "read"
    assert events[-1].attempt > 1
    assert workers.trace().count("read b") == 2


async def test_a_caller_that_leaves_has_the_handler_cancelled_within_a_second(workers, caller, eventually) -> None:
    workers.start()
    await eventually(lambda: caller.client.catalogue.find("python__act"), 30)
    calling = asyncio.ensure_future(caller.call("python__act", {"name": "c"}))
    await eventually(lambda: "act c" in workers.trace(), 10)
    calling.cancel()
    await eventually(lambda: "act c cancelled" in workers.trace(), 1)


async def test_a_worker_asked_to_stop_says_that_it_leaves(workers, caller, eventually) -> None:
    process = workers.start()
    await eventually(lambda: caller.client.catalogue.find("python__act"), 30)
    process.send_signal(signal.SIGTERM)
    await eventually(lambda: caller.client.catalogue.find("python__act") is None, 20)
    assert await asyncio.to_thread(process.wait, 20) == 0


async def test_a_tool_nobody_offers_any_more_fails_at_once(workers, caller) -> None:
    spec = ToolSpec(
        name="python__gone", server="python", description="", input_schema={}, source="python", pool="python"
    )
    caller.client.catalogue.find = lambda name: spec if name == "asked" else None
    from services.gateway.tool_loop.client import RunTool
    from shared import clock

    run = RunTool(call_id="x", request_id="r", tool="python__gone", arguments={}, deadline=clock.now() + 30)
    async with caller.client.running(run, spec) as events:
        (event,) = [event async for event in events]
    assert event.code == "no_worker"
