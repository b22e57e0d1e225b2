"""Runs the calls of one turn over the bus: side by side, each with exactly one result and one event in the ledger."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from opentelemetry.trace import SpanKind
from prometheus_client import Counter

from services.gateway.tool_loop.budget import Budget, Numbering
from services.gateway.tool_loop.client import ToolsClient
from services.gateway.tool_loop.dialect import ToolResult
from services.gateway.tool_loop.selection import ToolObserver
from shared import clock, ids, telemetry
from shared.messages.gateway import Call
from shared.messages.router import AttemptStarted
from shared.messages.tools import RunTool, ToolEvent, ToolSpec
from shared.spool import Spool
from shared.tool_rules import SchemaUnusable, argument_faults
from shared.wire.json_text import encode_text
from shared.wire.tool_call import UNREADABLE, ToolCall, ToolImage, arguments_object

log = structlog.get_logger(__name__)

TOOL_CALLS = Counter("tollway_tool_calls", "Tool calls of models by how they ended", ["server", "status"])
MOST_ARGUMENTS = 262_144
REPEATED = "you made this very call before and were given its result; use that, or answer without it"
_RETRYABLE = frozenset({"timeout", "no_worker", "server_down", "delivery_limit"})

Notice = Callable[[ToolObserver], None]
Tell = Callable[[Notice], Awaitable[None]]


@dataclass
class Outcome:
    """What became of a call."""

    text: str
    status: str = "ok"
    code: str | None = None
    bytes_out: int | None = None
    images: Sequence[ToolImage] = ()
    reason: str | None = None

    @property
    def is_error(self) -> bool:
        """Whether the model is told of a failure."""
        return self.status != "ok"


Outcomes = dict[ToolCall, Outcome]  # by the whole call: not every model gives its calls ids of their own


@dataclass
class _Booked:
    """The ledger's entry of one call."""

    started: AttemptStarted
    began: float = field(default_factory=clock.monotonic)


class CallRunner:
    """The tool calls of one request."""

    def __init__(
        self,
        call: Call,
        offered: dict[str, ToolSpec],
        allowed: Sequence[str] | None,
        client: ToolsClient,
        spool: Spool,
        budget: Budget,
        numbering: Numbering,
    ) -> None:
        self._call = call
        self._offered = offered
        self._allowed = list(allowed) if allowed is not None else None
        self._client = client
        self._spool = spool
        self._budget = budget
        self._numbering = numbering
        self._free = asyncio.Semaphore(budget.limits.parallel)
        self._alone: dict[str, asyncio.Lock] = {}
        self._seen: dict[tuple[str, str], list[asyncio.Future[Outcome]]] = {}

    async def run(self, calls: Sequence[ToolCall], tell: Tell, into: Outcomes) -> None:
        """Run the calls of a turn; outcomes are put into `into` as they come, so that an abort keeps what there is."""
        try:
            async with asyncio.TaskGroup() as group:
                for call in calls:
                    group.create_task(self._one(call, list(self._noted(call)), tell, into))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures

    def _noted(self, call: ToolCall) -> "list[asyncio.Future[Outcome]]":
        """The outcomes of the same call made before; this one's is added to them."""
        arguments = arguments_object(call.arguments)
        key = (call.name, encode_text(_sorted(arguments)) if arguments is not None else call.arguments)
        outcomes = self._seen.setdefault(key, [])
        outcomes.append(asyncio.get_running_loop().create_future())
        return outcomes

    async def _one(self, call: ToolCall, outcomes: "list[asyncio.Future[Outcome]]", tell: Tell, into: Outcomes) -> None:
        mine = outcomes[-1]
        arguments = _understood(call.arguments)
        await tell(lambda observer: observer.tool_call(call.id, call.name, arguments or {}))
        try:
            outcome = await self._decided(call, arguments, outcomes[:-1], tell)
            into[call] = outcome
            mine.set_result(outcome)
        finally:
            if not mine.done():
                mine.cancel()

    async def _decided(
        self,
        call: ToolCall,
        arguments: dict[str, Any] | None,
        earlier: "list[asyncio.Future[Outcome]]",
        tell: Tell,
    ) -> Outcome:
        spec = self._offered.get(call.name)
        if spec is None:
            return _refused("unknown_tool", f"there is no tool {call.name!r}")
        attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": spec.name}
        parent = self._call.traceparent
        with telemetry.span(f"execute_tool {spec.name}", parent=parent, kind=SpanKind.CLIENT, attributes=attributes):
            return await self._booked(spec, call, arguments, earlier, tell)

    async def _booked(
        self,
        spec: ToolSpec,
        call: ToolCall,
        arguments: dict[str, Any] | None,
        earlier: "list[asyncio.Future[Outcome]]",
        tell: Tell,
    ) -> Outcome:
        booked = self._book_start(spec)
        status, error, outcome = "aborted", "cancelled", None
        try:
            if len(call.arguments) > MOST_ARGUMENTS:
                outcome = _refused("invalid_arguments", f"the arguments are longer than {MOST_ARGUMENTS} characters")
            else:
                outcome = await self._answered(spec, arguments, earlier, call.id, tell)
            status, error = outcome.status, "" if outcome.status == "ok" else outcome.reason or outcome.text
            return outcome
        finally:
            TOOL_CALLS.labels(spec.server, status).inc()
            self._book_end(booked, status, error, outcome.bytes_out if outcome else None)

    async def _answered(
        self,
        spec: ToolSpec,
        arguments: dict[str, Any] | None,
        earlier: "list[asyncio.Future[Outcome]]",
        call_id: str,
        tell: Tell,
    ) -> Outcome:
        if not self._budget.take_call():
            return _refused("limit_reached", "no more tool calls are allowed for this request")
        if len(earlier) > 1:
            return _refused("repeated_call", REPEATED)
        if earlier:
            before = await asyncio.shield(earlier[0])
            if not before.is_error:
                return before
        if arguments is None:
            return _refused("invalid_arguments", "the arguments are not a JSON object")
        try:
            faults = argument_faults(spec.input_schema, arguments, fingerprint=spec.fingerprint)
        except SchemaUnusable as error:
            return _refused("schema_unusable", f"the tool's schema cannot be used: {error}")
        if faults:
            return _refused("invalid_arguments", "; ".join(faults))
        if self._budget.seconds_left <= 0:
            return _refused("limit_reached", "the time for tools is used up")
        return await self._run_in_turn(spec, arguments, call_id, tell)

    async def _run_in_turn(self, spec: ToolSpec, arguments: dict[str, Any], call_id: str, tell: Tell) -> Outcome:
        async with self._free:
            if spec.idempotent:
                return await self._run_on_worker(spec, arguments, call_id, tell)
            # A tool with side effects never runs beside itself within one request.
            async with self._alone.setdefault(spec.name, asyncio.Lock()):
                return await self._run_on_worker(spec, arguments, call_id, tell)

    async def _run_on_worker(self, spec: ToolSpec, arguments: dict[str, Any], call_id: str, tell: Tell) -> Outcome:
        limits = self._budget.limits
        most = spec.timeout_seconds if spec.source == "mcp" else limits.call_seconds
        run = RunTool(
            call_id=ids.new_id(),
            request_id=self._call.request_id,
            tool=spec.name,
            arguments=arguments,
            deadline=clock.now() + max(0.05, min(most, self._budget.seconds_left)),
            max_bytes=limits.result_bytes,
            key_id=self._call.named.key_id,
            allowed=self._allowed,
            traceparent=telemetry.traceparent() or self._call.traceparent,
        )
        async with self._client.running(run, spec) as events:
            async for event in events:
                if event.kind == "chunk":
                    await tell(_chunk_of(call_id, event.content))
                elif event.final:
                    return _outcome_of(event)
        return _refused("timeout", "no outcome came")

    def _book_start(self, spec: ToolSpec) -> _Booked:
        started = AttemptStarted(
            event_id=ids.new_id(),
            request_id=self._call.request_id,
            attempt=self._numbering.take(),
            timestamp=clock.now(),
            kind="tool",
            named=self._call.named,
            provider=spec.server,
            model=spec.name,
            requested_model=self._call.model,
            traceparent=telemetry.traceparent(),
        )
        self._spool.start(started)
        return _Booked(started)

    def _book_end(self, booked: _Booked, status: str, error: str, bytes_out: int | None) -> None:
        ended = booked.started.ended(
            duration_ms=(clock.monotonic() - booked.began) * 1000,
            status=status,
            error_msg=error[:500] or None,
            bytes_out=bytes_out,
        )
        self._spool.end(ended)


def cancelled() -> Outcome:
    """The outcome of a call that was stopped: providers reject a history with a call that has no result."""
    return Outcome(
        _error_text("cancelled", "cancelled by the user"), status="aborted", code="cancelled", reason="cancelled"
    )


def as_results(calls: Sequence[ToolCall], outcomes: Outcomes) -> list[ToolResult]:
    """Exactly one result for each call, in the calls' order."""
    found = [(call.id, outcomes.get(call) or cancelled()) for call in calls]
    return [ToolResult(call_id, outcome.text, outcome.is_error, outcome.images) for call_id, outcome in found]


def _understood(text: str) -> dict[str, Any] | None:
    arguments = arguments_object(text)
    return None if arguments is not None and set(arguments) == {UNREADABLE} else arguments


def _outcome_of(event: ToolEvent) -> Outcome:
    if event.kind == "result":
        status = "error" if event.is_error else "ok"
        return Outcome(event.content, status, event.code, event.bytes_out, event.images)
    if event.kind == "cancelled":
        return cancelled()
    return _refused(event.code or "tool_failed", event.content)


def _refused(code: str, message: str) -> Outcome:
    return Outcome(_error_text(code, message), status="error", code=code, reason=f"{code}: {message}")


def _error_text(code: str, message: str) -> str:
    return encode_text({"error": {"type": code, "message": message, "retryable": code in _RETRYABLE}})


def _chunk_of(call_id: str, content: str) -> Notice:
    return lambda observer: observer.tool_chunk(call_id, content)


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value
