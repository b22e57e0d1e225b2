"""The gateway's end of the bus to the tool workers: who is there, running a call, and calling it off."""

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import structlog
from msgspec import ValidationError

from services.gateway.tool_loop.catalogue import Catalogue
from shared import clock
from shared.bus import Message
from shared.errors import BusUnavailable, Unavailable
from shared.messages.envelope import decode, encode
from shared.messages.tools import (
    ASK_TOPIC,
    CANCEL_TOPIC,
    CATALOGUE_TOPIC,
    OUTCOME_TOPIC,
    OUTCOME_UNKNOWN,
    Announce,
    AskOutcome,
    CancelTool,
    RunTool,
    ToolEvent,
    ToolSpec,
    call_queue,
)
from shared.service import Resources

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
GRACE_SECONDS = 1.0
OPEN_SECONDS = 5.0
SETTLE_SECONDS = 3.0
GATHER_SECONDS = 0.1
ASK_SECONDS = 5.0


@dataclass
class Waiting:
    """A call that was sent, and what came back so far."""

    run: RunTool
    idempotent: bool
    events: asyncio.Queue[ToolEvent] = field(default_factory=asyncio.Queue)
    worker: str = ""
    attempt: int = 0
    over: bool = False
    heard: float = field(default_factory=clock.monotonic)

    def take(self, event: ToolEvent) -> None:
        """Pass on what belongs to the newest attempt."""
        if self.over or event.attempt < self.attempt:
            return
        self.attempt = event.attempt
        self.heard = clock.monotonic()
        self.worker = event.worker
        self.over = event.final
        self.events.put_nowait(event)

    def fail(self, code: str, text: str) -> None:
        """End the call from our side."""
        if not self.over:
            self.over = True
            self.events.put_nowait(_failure(self.run.call_id, self.attempt, code, text))


class ToolsClient:
    """Keeps the catalogue and the calls that wait for their outcome."""

    def __init__(self, resources: Resources) -> None:
        self._bus = resources.bus
        self.catalogue = Catalogue()
        self._waiting: dict[str, Waiting] = {}
        self._address = ""
        self._opened = asyncio.Event()
        self._listening = asyncio.Event()
        self._heard = asyncio.Event()
        self._settled = asyncio.Event()
        self._away_since: float | None = None

    async def run(self) -> None:
        """Hear the workers until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hear_catalogue())
            group.create_task(self._hear_events())
            group.create_task(self._look_after())
            group.create_task(self._settle())

    async def settled(self) -> None:
        """Wait until the workers that are there were heard of: it takes a moment when the gateway has just started."""
        await self._settled.wait()

    async def check(self) -> None:
        """Whether it is known which tools there are; none at all is an answer, too."""
        if not self._settled.is_set():
            raise Unavailable("the tool workers are still being asked what they offer")

    def tools(self, allowed: Sequence[str] | None) -> list[dict[str, Any]]:
        """The body of `GET /api/tools`."""
        return self.catalogue.tools_body(allowed)

    def servers(self, allowed: Sequence[str] | None) -> list[dict[str, Any]]:
        """The body of `GET /api/servers`."""
        return self.catalogue.servers_body(allowed)

    @asynccontextmanager
    async def running(self, run: RunTool, spec: ToolSpec) -> AsyncIterator[AsyncIterator[ToolEvent]]:
        """Send the call; inside, iterate its events. Leaving before the last one calls it off."""
        waiting = Waiting(run, spec.idempotent)
        self._waiting[run.call_id] = waiting
        try:
            await self._send(waiting, spec)
            yield self._events(waiting)
        finally:
            del self._waiting[run.call_id]
            if not waiting.over:
                await self._call_off(run.call_id)

    async def _send(self, waiting: Waiting, spec: ToolSpec) -> None:
        run = waiting.run
        if self.catalogue.find(run.tool) is None:
            waiting.fail("no_worker", "no worker offers this tool right now")
            return
        # A short absence of the broker is waited for; one that lasts costs no further caller the same wait.
        away = 0.0 if self._away_since is None else clock.monotonic() - self._away_since
        patience = max(0.1, OPEN_SECONDS - away)
        try:
            async with asyncio.timeout(patience):
                await self._opened.wait()
            left = max(0.05, run.deadline - clock.now())
            message = Message(
                encode(run),
                message_id=run.call_id,
                correlation_id=run.call_id,
                reply_to=self._address,
                expires_seconds=left,
            )
            await self._bus.send(call_queue(spec.pool).name, message, timeout_seconds=min(patience, left))
        except (BusUnavailable, TimeoutError) as error:
            waiting.fail("no_worker", f"the call could not be handed to a worker: {error}")

    async def _events(self, waiting: Waiting) -> AsyncIterator[ToolEvent]:
        while True:
            left = waiting.run.deadline + GRACE_SECONDS - clock.now()
            try:
                async with asyncio.timeout(max(0.0, left)):
                    event = await waiting.events.get()
            except TimeoutError:
                event = _failure(waiting.run.call_id, waiting.attempt, "timeout", "no outcome came before the deadline")
            yield event
            if event.final:
                return

    async def _call_off(self, call_id: str) -> None:
        with suppress(BusUnavailable):
            await self._bus.broadcast(CANCEL_TOPIC, Message(encode(CancelTool(call_id=call_id)), persistent=False))

    async def _settle(self) -> None:
        """The first question, once there is a bus to ask it on. Workers that live answer it at once."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                await self._listening.wait()
                await self._bus.wait_connected()
                await self._ask()
                await self._heard.wait()
                await asyncio.sleep(GATHER_SECONDS)  # for the other workers' answers
        self._settled.set()

    async def _hear_catalogue(self) -> None:
        async with self._bus.listen(CATALOGUE_TOPIC) as broadcasts:
            self._listening.set()
            async for heard in broadcasts:
                with suppress(ValidationError):
                    announce = decode(heard.message.body, Announce)
                    if not self.catalogue.hear(announce):
                        await self._ask()
                    if announce.tools is not None:
                        self._heard.set()
                    if announce.leaving:
                        self._worker_gone(announce.worker)

    async def _ask(self) -> None:
        with suppress(BusUnavailable):
            await self._bus.broadcast(ASK_TOPIC, Message(b"{}", persistent=False))

    async def _hear_events(self) -> None:
        async with self._bus.inbox() as inbox:
            self._address = inbox.address
            self._opened.set()
            async for message in inbox:
                with suppress(ValidationError):
                    event = decode(message.body, ToolEvent)
                    waiting = self._waiting.get(event.call_id)
                    if waiting is not None:
                        waiting.take(event)

    async def _look_after(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if not self._bus.connected:
                self._away_since = self._away_since or clock.monotonic()
                self.catalogue.excuse_silence()
                self._doubt_silence()
                continue
            self._away_since = None
            await self._ask_outcomes()
            for worker in self.catalogue.forget_silent():
                log.warning("tool_worker_gone", worker=worker)
                self._worker_gone(worker)

    def _doubt_silence(self) -> None:
        """What workers say now does not get here: ask for every outcome as soon as the broker is back."""
        for waiting in self._waiting.values():
            waiting.heard = -math.inf

    async def _ask_outcomes(self) -> None:
        """An outcome may have been lost while the broker was away: ask for those of which nothing was heard lately."""
        now = clock.monotonic()
        silent = [waiting for waiting in self._waiting.values() if now - waiting.heard > ASK_SECONDS]
        if not silent:
            return
        for waiting in silent:
            waiting.heard = now
        ask = AskOutcome(call_ids=[waiting.run.call_id for waiting in silent])
        with suppress(BusUnavailable):
            await self._bus.broadcast(OUTCOME_TOPIC, Message(encode(ask), persistent=False))

    def _worker_gone(self, worker: str) -> None:
        """End what ran there and must not run again; the rest is redelivered to another worker by the bus."""
        for waiting in self._waiting.values():
            if waiting.worker == worker and not waiting.idempotent:
                waiting.fail(
                    OUTCOME_UNKNOWN,
                    "the worker died while the tool ran; whether it took effect is not known, and it was not run again",
                )


def _failure(call_id: str, attempt: int, code: str, text: str) -> ToolEvent:
    return ToolEvent(call_id=call_id, attempt=attempt, seq=0, kind="error", content=text, code=code, is_error=True)
