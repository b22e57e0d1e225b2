"""What gateway and tool workers say to each other: a call, its numbered events, its cancellation, and the catalogue."""

from typing import Any

import msgspec

from shared.bus import Queue
from shared.wire.tool_call import ToolImage

CATALOGUE_TOPIC = "tools.catalogue"
ASK_TOPIC = "tools.ask"
CANCEL_TOPIC = "tools.cancel"
OUTCOME_TOPIC = "tools.outcomes"
DEAD_QUEUE = "tools.dead"

ANNOUNCE_SECONDS = 2.0
EXPIRY_SECONDS = 7.0

OUTCOME_UNKNOWN = "outcome_unknown"


def call_queue(pool: str) -> Queue:
    """The queue of a pool; slow tools have a pool of their own, so that fast ones never wait behind them."""
    return Queue(f"tools.call.{pool}", delivery_limit=3, dead_letter=DEAD_QUEUE, max_length=10_000)


def result_key(key_id: str | None, result_id: str) -> str:
    """Where the raw text of a long result is kept, for `builtin__read_result` of the same key only."""
    return f"tools:result:{key_id or '-'}:{result_id}"


class ToolSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A tool as a worker offers it; `name` is `server__tool` and fits what providers allow as a function name."""

    name: str
    server: str
    description: str
    input_schema: dict[str, Any]
    source: str
    pool: str
    supports_streaming: bool = False
    idempotent: bool = False
    timeout_seconds: float = 60.0
    fingerprint: str = ""


class ServerStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a source of tools is doing: starting, ready, degraded or down."""

    name: str
    kind: str
    state: str
    version: str | None = None
    tool_count: int = 0
    last_error: str | None = None
    restarts: int = 0


class Announce(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A worker lives and serves this; `tools` is absent while `revision` stays what it was."""

    worker: str
    revision: int
    servers: list[ServerStatus] = []
    tools: list[ToolSpec] | None = None
    leaving: bool = False
    version: int = 1


class RunTool(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Run a tool until the deadline (Unix time). The call's id is its idempotency key."""

    call_id: str
    request_id: str
    tool: str
    arguments: dict[str, Any]
    deadline: float
    max_bytes: int = 1_048_576
    key_id: str | None = None
    allowed: list[str] | None = None
    traceparent: str | None = None
    version: int = 1


class CancelTool(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Stop a call, or never start it."""

    call_id: str
    reason: str = "cancelled"
    version: int = 1


class AskOutcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Nothing was heard of these calls for a while: whoever has finished one says again how it ended."""

    call_ids: list[str]
    version: int = 1


class ToolEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What happens to a call. A higher attempt (a redelivery) makes what was said before void."""

    call_id: str
    attempt: int
    seq: int
    kind: str  # started | chunk | result | error | cancelled
    worker: str = ""
    content: str = ""
    code: str | None = None
    is_error: bool = False
    truncated: bool = False
    bytes_out: int | None = None
    images: list[ToolImage] = []
    version: int = 1

    @property
    def final(self) -> bool:
        """Whether nothing follows."""
        return self.kind in ("result", "error", "cancelled")
