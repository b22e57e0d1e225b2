"""What arrives on the bus: calls per pool, cancellations, dead letters, and the question who is there."""

import asyncio
from contextlib import suppress

from msgspec import ValidationError

from services.tools.opening import Opening
from services.tools.registry import Registry
from services.tools.run import Runner
from services.tools.speak import Speaker
from shared.bus import Bus, Delivery, Message, Subscription
from shared.lifecycle import Lifecycle
from shared.messages.envelope import decode, encode
from shared.messages.tools import (
    ANNOUNCE_SECONDS,
    ASK_TOPIC,
    CANCEL_TOPIC,
    CATALOGUE_TOPIC,
    DEAD_QUEUE,
    OUTCOME_TOPIC,
    Announce,
    AskOutcome,
    CancelTool,
    RunTool,
    call_queue,
)
from shared.tasks import Tasks

DRAIN_SECONDS = 3.0
DRAIN_LOOK_SECONDS = 0.1
_REASONS = {
    "expired": ("timeout", "no worker took the call in time"),
    "delivery_limit": ("delivery_limit", "the call was given up after several workers failed on it"),
}


class PoolConsumer:
    """Takes the calls of one pool, so many at a time."""

    def __init__(
        self,
        pool: str,
        runner: Runner,
        bus: Bus,
        tasks: Tasks,
        lifecycle: Lifecycle,
        opening: Opening,
        concurrency: int,
    ) -> None:
        self._queue = call_queue(pool)
        self._runner = runner
        self._bus = bus
        self._tasks = tasks
        self._lifecycle = lifecycle
        self._opening = opening
        self._concurrency = concurrency

    async def run(self) -> None:
        """Until cancelled; then takes no more, and waits for what runs."""
        await self._opening.queues_made.wait()
        free = asyncio.Semaphore(self._concurrency)
        running: set[asyncio.Task[None]] = set()
        async with self._bus.subscribe(self._queue.name, prefetch=self._concurrency) as deliveries:
            self._opening.listening()
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._stop_when_drained(deliveries))
                    async for delivery in deliveries:
                        await free.acquire()
                        task = self._tasks.start(self._handle(delivery), name=f"call-{delivery.message.message_id}")
                        running.add(task)
                        task.add_done_callback(running.discard)
                        task.add_done_callback(lambda _: free.release())
                    await asyncio.Event().wait()
            finally:
                await self._finish(running)

    async def _handle(self, delivery: Delivery) -> None:
        with self._lifecycle.track():  # a stopping process waits for what runs
            await self._runner.handle(delivery)

    async def _stop_when_drained(self, deliveries: Subscription) -> None:
        """Take no more calls once the process stops and no answer of its own can still need one."""
        await self._lifecycle.draining.wait()
        while self._lifecycle.running > self._runner.running:  # noqa: ASYNC110 - a count has no event to wait for
            await asyncio.sleep(DRAIN_LOOK_SECONDS)
        await deliveries.stop()

    async def _finish(self, running: "set[asyncio.Task[None]]") -> None:
        if running:
            await asyncio.wait(set(running), timeout=DRAIN_SECONDS)
        if running:
            self._runner.stop()
            await asyncio.wait(set(running), timeout=3)


class Cancels:
    """Hears which calls nobody wants any more."""

    def __init__(self, runner: Runner, bus: Bus, opening: Opening) -> None:
        self._runner = runner
        self._bus = bus
        self._opening = opening

    async def run(self) -> None:
        """Until cancelled."""
        await self._opening.queues_made.wait()
        async with self._bus.listen(CANCEL_TOPIC) as broadcasts:
            self._opening.listening()
            async for heard in broadcasts:
                with suppress(ValidationError):
                    self._runner.cancel(decode(heard.message.body, CancelTool).call_id)


class OutcomeQuestions:
    """Hears of which calls no outcome arrived, and says it again."""

    def __init__(self, runner: Runner, bus: Bus, opening: Opening) -> None:
        self._runner = runner
        self._bus = bus
        self._opening = opening

    async def run(self) -> None:
        """Until cancelled."""
        await self._opening.queues_made.wait()
        async with self._bus.listen(OUTCOME_TOPIC) as broadcasts:
            self._opening.listening()
            async for heard in broadcasts:
                with suppress(ValidationError):
                    for call_id in decode(heard.message.body, AskOutcome).call_ids:
                        await self._runner.say_again(call_id)


class DeadLetters:
    """Answers for calls that no worker will ever run, so that nobody waits for them."""

    def __init__(self, bus: Bus, tasks: Tasks, opening: Opening, worker: str) -> None:
        self._bus = bus
        self._tasks = tasks
        self._opening = opening
        self._worker = worker

    async def run(self) -> None:
        """Until cancelled."""
        await self._opening.queues_made.wait()
        async with self._bus.subscribe(DEAD_QUEUE, prefetch=16) as deliveries:
            async for delivery in deliveries:
                await self._answer(delivery)
                await delivery.ack()

    async def _answer(self, delivery: Delivery) -> None:
        message = delivery.message
        with suppress(ValidationError):
            run = decode(message.body, RunTool)
            reason = message.headers.get("x-dead-reason", "")
            code, text = _REASONS.get(reason, ("rejected", "the call was refused by the bus"))
            speaker = Speaker(
                self._bus, self._tasks, run, reply_to=message.reply_to, attempt=1_000_000, worker=self._worker
            )
            await speaker.finish(speaker.event("error", text, code=code))


class Announcer:
    """Says who is here and what can be run: at the start, on every change, every few seconds, and when asked."""

    def __init__(self, registry: Registry, bus: Bus, worker: str) -> None:
        self._registry = registry
        self._bus = bus
        self._worker = worker
        self._asked = asyncio.Event()
        self._said = 0
        self._tell_all = True
        registry.subscribe(self._asked.set)

    @property
    def up_to_date(self) -> bool:
        """Whether everybody has been told what is offered now."""
        return self._said == self._registry.revision

    async def run(self) -> None:
        """Until cancelled; the last word is that this worker leaves."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen())
                while True:
                    await self._say()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(ANNOUNCE_SECONDS):
                            await self._asked.wait()
        finally:
            await self._bus.broadcast(CATALOGUE_TOPIC, self._message(leaving=True))

    async def _listen(self) -> None:
        async with self._bus.listen(ASK_TOPIC) as questions:
            async for _ in questions:
                self._tell_all = True
                self._asked.set()

    async def _say(self) -> None:
        self._asked.clear()
        revision = self._registry.revision
        message = self._message()
        self._tell_all = False
        await self._bus.broadcast(CATALOGUE_TOPIC, message)
        self._said = revision

    def _message(self, *, leaving: bool = False) -> Message:
        news = (self._tell_all or self._registry.revision != self._said) and not leaving
        announce = Announce(
            worker=self._worker,
            revision=self._registry.revision,
            servers=self._registry.servers(),
            tools=self._registry.tools() if news else None,
            leaving=leaving,
        )
        return Message(encode(announce), persistent=False)
