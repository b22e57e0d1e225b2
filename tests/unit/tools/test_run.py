"""One call on a worker: acknowledged at the right moment, run at most once when it must be, answered exactly once."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from services.tools.providers.base import Context, Outcome
from services.tools.registry import Registry
from services.tools.run import Runner, capped
from shared import clock
from shared.bus import Message
from shared.bus_memory import MemoryBus
from shared.cache_memory import MemoryCache
from shared.errors import CacheUnavailable
from shared.messages.envelope import decode, encode
from shared.messages.tools import RunTool, ServerStatus, ToolEvent, ToolSpec
from shared.tasks import Tasks


class OneTool:
    """A source with a single tool made of a coroutine function."""

    def __init__(self, handler: Callable[..., Any], *, idempotent: bool = False) -> None:
        schema = {"type": "object", "properties": {"q": {"type": "string"}}, "additionalProperties": False}
        self.spec = ToolSpec(
            name="s__t",
            server="s",
            description="",
            input_schema=schema,
            source="python",
            pool="python",
            idempotent=idempotent,
        )
        self.handler = handler
        self.runs = 0

    def tools(self) -> list[ToolSpec]:
        return [self.spec]

    def servers(self) -> list[ServerStatus]:
        return []

    async def run(self, tool: ToolSpec, arguments: dict[str, Any], context: Context) -> Outcome:
        self.runs += 1
        return await self.handler(arguments, context)

    async def serve(self, changed: Callable[[], None]) -> None: ...

    async def settled(self) -> None: ...


class Handed:
    """A delivery that remembers what became of it."""

    queue = "q"

    def __init__(self, run: RunTool, reply_to: str, delivery_count: int = 1) -> None:
        self.message = Message(encode(run), reply_to=reply_to)
        self.delivery_count = delivery_count
        self.fate: list[str] = []

    async def ack(self) -> None:
        self.fate.append("ack")

    async def reject(self, *, requeue: bool) -> None:
        self.fate.append("requeue" if requeue else "dead")


class Worker:
    def __init__(self, source: OneTool, cache: MemoryCache | None = None) -> None:
        self.bus, self.cache, self.tasks = MemoryBus(), cache or MemoryCache(), Tasks()
        self.runner = Runner(Registry([source]), self.bus, self.cache, self.tasks, "w")
        self.events: list[ToolEvent] = []

    async def handle(self, run: RunTool, delivery_count: int = 1) -> Handed:
        async with self.bus.inbox() as inbox:
            delivery = Handed(run, inbox.address, delivery_count)
            await self.runner.handle(delivery)
            while inbox._messages:
                self.events.append(decode(inbox._messages.popleft().body, ToolEvent))
        return delivery


def a_call(**fields: Any) -> RunTool:
    told = {"call_id": "c", "request_id": "r", "tool": "s__t", "arguments": {}, "deadline": clock.now() + 5, **fields}
    return RunTool(**told)


async def answer(arguments: dict[str, Any], context: Context) -> Outcome:
    return Outcome("done")


async def test_a_tool_with_side_effects_is_acknowledged_before_it_runs() -> None:
    fates: list[list[str]] = []

    async def look(arguments: dict[str, Any], context: Context) -> Outcome:
        fates.append(list(delivery.fate))
        return Outcome("done")

    worker = Worker(OneTool(look))
    async with worker.bus.inbox() as inbox:
        delivery = Handed(a_call(), inbox.address)
        await worker.runner.handle(delivery)
    assert fates == [["ack"]]
    assert delivery.fate == ["ack"]


async def test_who_has_a_call_is_told_before_it_is_acknowledged() -> None:
    """A worker that dies right after the acknowledgement must be known as the one that had the call."""
    said: list[list[str]] = []

    class Watched(Handed):
        async def ack(self) -> None:
            said.append([decode(message.body, ToolEvent).kind for message in inbox._messages])

    worker = Worker(OneTool(answer))
    async with worker.bus.inbox() as inbox:
        await worker.runner.handle(Watched(a_call(), inbox.address))
    assert said == [["started"]]


async def test_an_idempotent_tool_is_acknowledged_after_it_ran() -> None:
    fates: list[list[str]] = []

    async def look(arguments: dict[str, Any], context: Context) -> Outcome:
        fates.append(list(delivery.fate))
        return Outcome("done")

    worker = Worker(OneTool(look, idempotent=True))
    async with worker.bus.inbox() as inbox:
        delivery = Handed(a_call(), inbox.address)
        await worker.runner.handle(delivery)
    assert fates == [[]]
    assert delivery.fate == ["ack"]


async def test_events_are_numbered_and_the_last_is_the_result() -> None:
    async def streams(arguments: dict[str, Any], context: Context) -> Outcome:
        for piece in ("a", "b", "c"):
            context.emit(piece)
        return Outcome("abc")

    worker = Worker(OneTool(streams))
    await worker.handle(a_call())
    assert [event.kind for event in worker.events] == ["started", "chunk", "result"]
    assert [event.seq for event in worker.events] == [1, 2, 3]
    assert worker.events[1].content == "abc"


async def test_a_side_effect_that_may_have_started_elsewhere_is_not_run_again() -> None:
    source = OneTool(answer)
    first = Worker(source)
    await first.handle(a_call())
    other = Worker(source, first.cache)
    await other.handle(a_call(), delivery_count=2)
    assert source.runs == 1
    assert other.events[-1].code == "outcome_unknown"


async def test_without_the_cache_a_redelivered_side_effect_counts_as_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    source = OneTool(answer)
    worker = Worker(source)

    async def away(*args: Any, **kwargs: Any) -> bool:
        raise CacheUnavailable

    monkeypatch.setattr(worker.cache, "set", away)
    await worker.handle(a_call(call_id="first"))
    await worker.handle(a_call(call_id="second"), delivery_count=2)
    assert source.runs == 1
    assert [event.kind for event in worker.events] == ["started", "result", "error"]


async def test_an_idempotent_call_is_run_again_with_a_higher_attempt() -> None:
    first, other = Worker(OneTool(answer, idempotent=True)), Worker(OneTool(answer, idempotent=True))
    await first.handle(a_call())
    await other.handle(a_call(), delivery_count=2)
    assert [event.attempt for event in (*first.events, *other.events) if event.final] == [1, 2]


async def test_a_call_delivered_again_while_it_still_runs_here_is_not_run_beside_itself() -> None:
    started, release = asyncio.Event(), asyncio.Event()

    async def waits(arguments: dict[str, Any], context: Context) -> Outcome:
        started.set()
        await release.wait()
        return Outcome("done")

    source = OneTool(waits, idempotent=True)
    worker = Worker(source)
    first = asyncio.ensure_future(worker.handle(a_call()))
    await asyncio.wait_for(started.wait(), 1)
    second = asyncio.ensure_future(worker.handle(a_call(), delivery_count=2))
    await asyncio.sleep(0)
    release.set()
    assert [(await first).fate, (await second).fate] == [["ack"], ["ack"]]
    assert source.runs == 1
    assert [event.kind for event in worker.events] == ["started", "result"]


async def test_a_call_delivered_again_after_it_ended_here_is_answered_without_another_run() -> None:
    source = OneTool(answer, idempotent=True)
    worker = Worker(source)
    await worker.handle(a_call())
    again = await worker.handle(a_call(), delivery_count=2)
    assert again.fate == ["ack"]
    assert source.runs == 1


async def test_a_call_cancelled_in_the_queue_never_starts() -> None:
    source = OneTool(answer)
    worker = Worker(source)
    worker.runner.cancel("c")
    delivery = await worker.handle(a_call())
    assert (source.runs, delivery.fate) == (0, ["ack"])
    assert worker.events[-1].kind == "cancelled"


async def test_a_call_past_its_deadline_never_starts() -> None:
    source = OneTool(answer)
    worker = Worker(source)
    await worker.handle(a_call(deadline=clock.now() - 1))
    assert source.runs == 0
    assert worker.events[-1].code == "timeout"


async def test_a_running_call_is_cancelled_and_said_to_be() -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def waits(arguments: dict[str, Any], context: Context) -> Outcome:
        started.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return Outcome("never")

    worker = Worker(OneTool(waits))
    handling = asyncio.ensure_future(worker.handle(a_call()))
    await asyncio.wait_for(started.wait(), 1)
    worker.runner.cancel("c")
    await asyncio.wait_for(handling, 1)
    assert cancelled.is_set()
    assert worker.events[-1].kind == "cancelled"


@pytest.mark.parametrize("idempotent", [False, True])
async def test_a_stopping_worker_gives_back_what_may_run_again_and_tells_of_the_rest(idempotent: bool) -> None:
    started = asyncio.Event()

    async def waits(arguments: dict[str, Any], context: Context) -> Outcome:
        started.set()
        await asyncio.sleep(60)
        return Outcome("never")

    worker = Worker(OneTool(waits, idempotent=idempotent))
    handling = asyncio.ensure_future(worker.handle(a_call()))
    await asyncio.wait_for(started.wait(), 1)
    worker.runner.stop()
    delivery = await asyncio.wait_for(handling, 1)
    if idempotent:
        assert delivery.fate == ["requeue"]
    else:
        assert worker.events[-1].code == "outcome_unknown"


async def test_a_tool_that_takes_too_long_is_stopped_at_the_deadline() -> None:
    async def waits(arguments: dict[str, Any], context: Context) -> Outcome:
        await asyncio.sleep(60)
        return Outcome("never")

    worker = Worker(OneTool(waits))
    await worker.handle(a_call(deadline=clock.now() + 0.05))
    assert worker.events[-1].code == "timeout"


async def test_code_that_will_not_be_cancelled_is_left_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.tools.run.LETTING_GO_SECONDS", 0.05)
    release = asyncio.Event()

    async def stubborn(arguments: dict[str, Any], context: Context) -> Outcome:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return Outcome("at last")

    worker = Worker(OneTool(stubborn))
    await asyncio.wait_for(worker.handle(a_call(deadline=clock.now() + 0.05)), 2)
    assert worker.events[-1].code == "timeout"
    release.set()
    await worker.tasks.drain(1)


async def test_whatever_a_tool_raises_is_an_answer() -> None:
    async def breaks(arguments: dict[str, Any], context: Context) -> Outcome:
        raise RuntimeError("out of cheese")

    worker = Worker(OneTool(breaks))
    await worker.handle(a_call())
    assert worker.events[-1].content == "RuntimeError: out of cheese"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"arguments": {"other": 1}}, "invalid_arguments"),
        ({"tool": "s__unknown"}, "unknown_tool"),
        ({"allowed": ["other__*"]}, "forbidden_tool"),
    ],
)
async def test_the_worker_checks_again(fields: dict[str, Any], code: str) -> None:
    source = OneTool(answer)
    worker = Worker(source)
    await worker.handle(a_call(**fields))
    assert (source.runs, worker.events[-1].code) == (0, code)


async def test_a_result_beyond_the_cap_keeps_head_and_tail_and_says_so() -> None:
    async def much(arguments: dict[str, Any], context: Context) -> Outcome:
        return Outcome("a" + "ü" * 5000 + "z")

    worker = Worker(OneTool(much))
    await worker.handle(a_call(max_bytes=1000))
    event = worker.events[-1]
    assert event.truncated
    assert event.bytes_out == 10_002
    assert len(event.content.encode()) <= 1000
    assert event.content.startswith("aü")
    assert event.content.endswith("üz")


async def test_an_outcome_that_was_not_heard_is_said_again() -> None:
    worker = Worker(OneTool(answer))
    async with worker.bus.inbox() as inbox:
        await worker.runner.handle(Handed(a_call(), inbox.address))
        inbox._messages.clear()
        await worker.runner.say_again("c")
        await worker.runner.say_again("unknown")
        (again,) = [decode(message.body, ToolEvent) for message in inbox._messages]
    assert (again.kind, again.content) == ("result", "done")


async def test_what_cannot_be_read_goes_to_the_dead_letters() -> None:
    worker = Worker(OneTool(answer))
    delivery = Handed(a_call(), "nobody")
    delivery.message = Message(b"{}")
    await worker.runner.handle(delivery)
    assert delivery.fate == ["dead"]


def test_a_short_text_is_left_alone() -> None:
    assert capped("kurz", 100) == ("kurz", 4, False)
