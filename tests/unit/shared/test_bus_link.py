"""A link to the broker goes on trying, whatever a half-started broker makes the client raise."""

import asyncio
from typing import Any

import pytest

from shared import bus_rabbitmq_link
from shared.bus_rabbitmq import RabbitBus
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


class Latecomer:
    """A reader during whose attachment another one comes."""

    def __init__(self, readers: set[Any], more: int) -> None:
        self._readers = readers
        self._more = more
        self.attached = 0
        readers.add(self)

    async def attach(self, _: object) -> None:
        self.attached += 1
        await asyncio.sleep(0)
        if self._more:
            Latecomer(self._readers, self._more - 1)


async def test_a_reader_that_comes_while_others_are_attached_is_attached_too(monkeypatch: pytest.MonkeyPatch) -> None:
    bus = RabbitBus("amqp://nowhere", "test.")
    readers: Any = bus._readers
    Latecomer(readers, more=3)

    async def make(*_: object) -> None: ...

    monkeypatch.setattr(bus, "_make", make)
    await bus._attach(None)  # type: ignore[arg-type]
    assert [reader.attached for reader in readers] == [1, 1, 1, 1]
