"""The use case: take one call from the bus, run its tool, and tell the caller exactly one outcome.

A tool with side effects is acknowledged before it runs and never run twice: after a crash its outcome is unknown and
that is what is said. An idempotent tool is acknowledged after it ran, so that another worker runs it again.
"""

import asyncio
from collections import OrderedDict
from typing import Any

import structlog
from msgspec import ValidationError, structs
from opentelemetry.trace import SpanKind

from services.tools.errors import OutcomeUnknown, ToolFailed, ToolForbidden
from services.tools.providers.base import Context, Outcome
from services.tools.registry import Registry
from services.tools.speak import Speaker
from shared import clock, telemetry
from shared.bus import Bus, Delivery
from shared.cache import Cache
from shared.errors import CacheUnavailable
from shared.messages.envelope import decode
from shared.messages.tools import OUTCOME_UNKNOWN, RunTool, ToolEvent
from shared.tasks import Tasks
from shared.tool_rules import permits

log = structlog.get_logger(__name__)

REMEMBERED_CANCELS = 10_000
REMEMBERED_OUTCOMES = 256
REMEMBERED_BYTES = 8 << 20
STARTED_SECONDS = 3600.0
LETTING_GO_SECONDS = 2.0


class Runner:
    """Runs calls; knows which are running and which must never start."""

    def __init__(self, registry: Registry, bus: Bus, cache: Cache, tasks: Tasks, worker: str) -> None:
        self._registry = registry
        self._bus = bus
        self._cache = cache
        self._tasks = tasks
        self._worker = worker
        self._running: dict[str, asyncio.Task[Outcome]] = {}
        self._cancelled: OrderedDict[str, None] = OrderedDict()
        self._stopping = False
        self._finished: OrderedDict[str, tuple[Speaker, ToolEvent]] = OrderedDict()
        self._finished_bytes = 0

    @property
    def running(self) -> int:
        """How many tools run right now."""
        return len(self._running)

    def cancel(self, call_id: str) -> None:
        """Stop a running call; one that is still in a queue will be dropped on arrival."""
        self._cancelled[call_id] = None
        while len(self._cancelled) > REMEMBERED_CANCELS:
            self._cancelled.popitem(last=False)
        task = self._running.get(call_id)
        if task is not None:
            task.cancel()

    async def say_again(self, call_id: str) -> None:
        """Repeat how a call ended, if it ended here not long ago; its caller may not have heard it."""
        found = self._finished.get(call_id)
        if found is not None:
            speaker, event = found
            await speaker.finish(event)

    def _remember(self, speaker: Speaker, event: ToolEvent) -> None:
        self._finished[event.call_id] = (speaker, event)
        self._finished_bytes += _weight(event)
        while len(self._finished) > REMEMBERED_OUTCOMES or self._finished_bytes > REMEMBERED_BYTES:
            _, (_, oldest) = self._finished.popitem(last=False)
            self._finished_bytes -= _weight(oldest)

    def stop(self) -> None:
        """Stop whatever still runs: the process ends."""
        self._stopping = True
        for task in self._running.values():
            task.cancel()

    async def handle(self, delivery: Delivery) -> None:
        """One delivery from beginning to end."""
        try:
            run = decode(delivery.message.body, RunTool)
        except ValidationError:
            await delivery.reject(requeue=False)
            return
        speaker = Speaker(
            self._bus,
            self._tasks,
            run,
            reply_to=delivery.message.reply_to,
            attempt=delivery.delivery_count,
            worker=self._worker,
        )
        if await self._is_over(run, speaker):
            await delivery.ack()
            return
        early = not self._is_idempotent(run.tool)
        if early and not await self._claim(run, delivery.delivery_count):
            await delivery.ack()
            await speaker.finish(_failure(speaker, OutcomeUnknown()))
            return
        await speaker.started()
        if early:  # after that was said: should this worker die now, the caller knows whose call it was
            await delivery.ack()
        event = await self._traced_outcome(run, speaker)
        if not early and self._stopping and event.kind == "cancelled":
            await delivery.reject(requeue=True)
            return
        self._remember(speaker, event)
        await speaker.finish(event)
        if not early:
            await delivery.ack()
        log.info(
            "tool_ran", tool=run.tool, call_id=run.call_id, request_id=run.request_id, outcome=event.code or event.kind
        )

    async def _is_over(self, run: RunTool, speaker: Speaker) -> bool:
        """Whether nothing is left to run, which is then said; the broker delivers again what it lost sight of."""
        if run.call_id in self._cancelled:
            await speaker.finish(speaker.event("cancelled", "the call was not started"))
        elif run.deadline <= clock.now():
            await speaker.finish(speaker.event("error", "the call was not started", code="timeout"))
        elif (running := self._running.get(run.call_id)) is not None:
            await asyncio.wait({running})
        elif run.call_id in self._finished:
            await self.say_again(run.call_id)
        else:
            return False
        return True

    def _is_idempotent(self, name: str) -> bool:
        try:
            return self._registry.find(name)[1].idempotent
        except ToolFailed:
            return True  # nothing will run, so nothing can run twice

    async def _claim(self, run: RunTool, delivery_count: int) -> bool:
        """Whether this is the first start of the call, as far as anybody can know."""
        key = f"tools:started:{run.call_id}"
        try:
            return await self._cache.set(key, self._worker.encode(), ttl_seconds=STARTED_SECONDS, only_if_absent=True)
        except CacheUnavailable:
            return delivery_count == 1

    async def _traced_outcome(self, run: RunTool, speaker: Speaker) -> ToolEvent:
        attributes = {
            "gen_ai.tool.name": run.tool,
            "tollway.request_id": run.request_id,
            "tollway.worker": self._worker,
        }
        name = f"run {run.tool}"
        with telemetry.span(name, parent=run.traceparent, kind=SpanKind.CONSUMER, attributes=attributes) as span:
            event = await self._outcome(run, speaker)
            telemetry.mark(span, event.code)
        return event

    async def _outcome(self, run: RunTool, speaker: Speaker) -> ToolEvent:
        began = clock.monotonic()
        seconds = run.deadline - clock.now()
        context = Context(run.call_id, run.key_id, seconds, run.max_bytes, speaker.chunk)
        work = self._tasks.start(_contained(self._run(run, context)), name=f"tool-{run.tool}")
        self._running[run.call_id] = work
        try:
            done, _ = await asyncio.wait({work}, timeout=max(0.0, seconds))
            if not done:
                await _let_go(work)
                text = f"the tool did not answer within {clock.monotonic() - began:.0f} s"
                return structs.replace(speaker.event("error", text, code="timeout"), is_error=True)
        except asyncio.CancelledError:
            await _let_go(work)
            raise
        finally:
            self._running.pop(run.call_id, None)
        return self._told(run, work, speaker)

    async def _run(self, run: RunTool, context: Context) -> Outcome:
        if not permits(run.allowed, run.tool):
            raise ToolForbidden
        return await self._registry.run(run.tool, run.arguments, context)

    def _told(self, run: RunTool, work: "asyncio.Task[Any]", speaker: Speaker) -> ToolEvent:
        if work.cancelled():
            if run.call_id in self._cancelled or self._is_idempotent(run.tool):
                return speaker.event("cancelled", "cancelled", code="cancelled")
            return _failure(
                speaker, OutcomeUnknown("the worker stopped while the tool was running", code=OUTCOME_UNKNOWN)
            )
        outcome = work.result()
        if isinstance(outcome, ToolFailed):
            return _failure(speaker, outcome)
        text, size, truncated = capped(outcome.text, run.max_bytes)
        event = speaker.event("result", text, code="tool_error" if outcome.is_error else None)
        size += sum(len(image.data) for image in outcome.images)
        images = list(outcome.images)
        return structs.replace(event, is_error=outcome.is_error, truncated=truncated, bytes_out=size, images=images)


async def _contained(work: Any) -> Any:
    """The outcome of a tool's code, which may raise anything: the failure is its answer, never the worker's end."""
    try:
        return await work
    except ToolFailed as failed:
        return failed
    except Exception as error:  # noqa: BLE001 - edge to foreign code
        log.warning("tool_raised", error=repr(error))
        return ToolFailed(f"{type(error).__name__}: {error}"[:2000])


async def _let_go(work: "asyncio.Task[Any]") -> None:
    """Cancel and wait a little: code that will not be cancelled is left to itself."""
    work.cancel()
    await asyncio.wait({work}, timeout=LETTING_GO_SECONDS)


def _weight(event: ToolEvent) -> int:
    return len(event.content) + sum(len(image.data) for image in event.images)


def _failure(speaker: Speaker, failed: ToolFailed) -> ToolEvent:
    return structs.replace(speaker.event("error", failed.message, code=failed.error_code), is_error=True)


def capped(text: str, most_bytes: int) -> tuple[str, int, bool]:
    """The text within a number of bytes, head and tail kept; its real size; and whether something is missing."""
    data = text.encode("utf-8", "replace")
    if len(data) <= most_bytes:
        return data.decode(), len(data), False
    note = f"\n… [{len(data) - most_bytes} bytes left out] …\n"
    room = max(0, most_bytes - len(note.encode()))
    head, tail = data[: room * 3 // 4], data[len(data) - room // 4 :]
    return head.decode("utf-8", "ignore") + note + tail.decode("utf-8", "ignore"), len(data), True
