"""What the gateway does when the bus loses what a worker says."""

import asyncio
from typing import Any

import pytest

from services.gateway.tool_loop import client
from shared.errors import BusUnavailable
from tests.unit.gateway_tools.conftest import Bench
from tests.unit.gateway_tools.scripted_model import Say, ScriptedModel


async def test_an_outcome_that_was_lost_with_everything_before_it_is_asked_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "ASK_SECONDS", 0.2)
    monkeypatch.setattr(client, "LOOK_SECONDS", 0.05)

    async def lose(*_: Any) -> None:
        """As while the caller's inbox is not there: the broker was away, and the worker was back first."""

    with monkeypatch.context() as broken:
        broken.setattr(bench.resources.bus, "post", lose)
        model = ScriptedModel(Say(calls=[("python__look_up", {"q": "x"})]), Say("done"))
        asking = asyncio.ensure_future(bench.ask(model))
        async with asyncio.timeout(5):
            while not bench.handlers.ran:
                await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)
    await asyncio.wait_for(asking, 5)
    assert [event.status for event in bench.tool_events() if event.kind == "tool"] == ["ok"]
    assert bench.handlers.ran == ["look_up x"]


async def test_a_broker_that_stays_away_costs_no_further_call_the_wait(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "OPEN_SECONDS", 0.6)
    monkeypatch.setattr(client, "LOOK_SECONDS", 0.05)
    patience: list[float] = []

    async def nobody(*_: Any, timeout_seconds: float, **__: Any) -> None:
        patience.append(timeout_seconds)
        await asyncio.sleep(timeout_seconds)
        raise BusUnavailable

    await asyncio.sleep(1.1)  # the look that was already waiting
    monkeypatch.setattr(bench.resources.bus, "connected", False)
    monkeypatch.setattr(bench.resources.bus, "send", nobody)
    for question in ("a", "b"):
        await bench.ask(ScriptedModel(Say(calls=[("python__look_up", {"q": question})]), Say("done")))
    monkeypatch.undo()
    assert patience[0] > 0.5
    assert patience[1] < 0.2
    assert [event.status for event in bench.tool_events() if event.kind == "tool"] == ["error", "error"]
