"""What the router says about an upstream attempt, and the gateway and tool loop about tools and cache hits.

`AttemptStarted` and `AttemptProgress` stay in the spool: they are what an attempt cut by a crash is closed from.
`AttemptEnded` is the usage event; it is published to `USAGE_QUEUE` and becomes one row of the ledger.
"""

from typing import Any

import msgspec

from shared.bus import Queue
from shared.messages.envelope import Named
from shared.wire.usage import TokenUsage

USAGE_QUEUE = "usage.events"
EVENTS = Queue(USAGE_QUEUE, delivery_limit=20, dead_letter="usage.dead", single_active=True, confirm_on_ack=True)


class AttemptStarted(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="attempt_started"
):
    """Written before the provider (or tool) is called."""

    event_id: str
    request_id: str
    attempt: int
    timestamp: float
    kind: str = "model"
    named: Named = Named()
    provider: str | None = None
    model: str | None = None
    requested_model: str | None = None
    input_tokens_estimate: int | None = None
    traceparent: str | None = None  # the attempt's span
    version: int = 1

    def ended(self, **how: Any) -> "AttemptEnded":
        """The end of this attempt, with what is known now."""
        return AttemptEnded(
            event_id=self.event_id,
            request_id=self.request_id,
            attempt=self.attempt,
            timestamp=self.timestamp,
            kind=self.kind,
            named=self.named,
            provider=self.provider,
            model=self.model,
            requested_model=self.requested_model,
            traceparent=self.traceparent,
            **how,
        )


class AttemptProgress(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="attempt_progress"
):
    """Written when content begins and about once a second after: the best usage known if we die now."""

    event_id: str
    usage: TokenUsage
    ttft_ms: float | None = None


class AttemptEnded(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="attempt_ended"
):
    """Exactly one for every attempt, whatever happened. Unknown is None, never 0."""

    event_id: str
    request_id: str
    attempt: int
    timestamp: float
    kind: str = "model"
    named: Named = Named()
    provider: str | None = None
    model: str | None = None
    requested_model: str | None = None
    usage: TokenUsage | None = None
    total_tokens: int | None = None  # of callers that know no split into input and output; else it follows from usage
    usage_source: str = "none"  # provider | estimated | none
    duration_ms: float | None = None
    ttft_ms: float | None = None
    status: str = "ok"  # ok | error | aborted | interrupted
    error_msg: str | None = None
    bytes_out: int | None = None
    cost: str | None = None  # a decimal given by the caller of POST record; else the ledger prices it
    currency: str | None = None
    traceparent: str | None = None
    producer: str = ""
    sequence: int = 0
    version: int = 1
