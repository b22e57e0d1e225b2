"""A link to the broker goes on trying, whatever a half-started broker makes the client raise."""

import asyncio

import pytest

from shared import bus_rabbitmq_link
from shared.bus_rabbitmq_link import Link


@pytest.mark.parametrize("failure", [StopAsyncIteration, EOFError, ConnectionResetError, TimeoutError])
async def test_a_handshake_that_breaks_off_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, failure: type[Exception]
) -> None:
    tried = asyncio.Event()
    tries = 0

    async def connect(*_: object, **__: object) -> None:
        nonlocal tries
        tries += 1
        if tries > 1:
            tried.set()
        raise failure

    async def prepare(_: object) -> None: ...

    monkeypatch.setattr(bus_rabbitmq_link.aio_pika, "connect", connect)
    monkeypatch.setattr(bus_rabbitmq_link, "FIRST_PAUSE_SECONDS", 0.001)
    running = asyncio.ensure_future(Link("amqp://nowhere", "test", prepare).run())
    await asyncio.wait_for(tried.wait(), 2)
    running.cancel()
