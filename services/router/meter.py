"""What an attempt used: noted before the provider is called, while content flows, and exactly once when it is over."""

import re
from collections.abc import Callable

from opentelemetry.trace import INVALID_SPAN, Span, SpanKind

from services.router.catalog import Target
from services.router.estimate import Tokenizer, by_size
from shared import clock, telemetry
from shared.ids import new_id
from shared.messages.gateway import Call, Spent
from shared.messages.router import AttemptProgress, AttemptStarted
from shared.spool import Spool
from shared.translate.progress import Progress
from shared.wire.usage import TokenUsage

PROGRESS_EVERY_SECONDS = 1.0
PROGRESS_SOONEST_SECONDS = 0.05
_LONGEST_ERROR = 500
_TEXTS = re.compile(rb'"(?:content|text|reasoning_content|thinking|arguments)" ?: ?"((?:[^"\\]|\\.)*)')


class Meter:
    """The books of one attempt. Everything is a local append: nothing waits, so it works while being cancelled, too."""

    __slots__ = (
        "_began",
        "_call",
        "_ended",
        "_next_progress",
        "_span",
        "_spool",
        "_started",
        "_target",
        "_tokenizer",
        "event_id",
        "spent",
        "started_at",
        "traceparent",
        "ttft_ms",
    )

    def __init__(self, spool: Spool | None, call: Call, number: int, target: Target, tokenizer: Tokenizer) -> None:
        self.event_id = new_id()
        self.started_at = clock.now()
        self._tokenizer = tokenizer
        self.ttft_ms: float | None = None
        self.spent: Spent | None = None
        self._spool = spool
        self._call = call
        self._target = target
        self._began = clock.monotonic()
        self._next_progress = 0.0
        self._ended = False
        self._span = _span(call, number, target) if telemetry.enabled() else INVALID_SPAN
        self.traceparent = telemetry.traceparent(self._span)
        self._started = AttemptStarted(
            event_id=self.event_id,
            request_id=call.request_id,
            attempt=number,
            timestamp=self.started_at,
            named=call.named,
            provider=target.provider,
            model=target.model,
            requested_model=call.model,
            input_tokens_estimate=by_size(call.body),
            traceparent=self.traceparent,
        )
        if spool is not None:  # None: an operation that costs nothing, such as counting tokens
            spool.start(self._started)

    @property
    def elapsed_ms(self) -> float:
        """How long the attempt has been running."""
        return (clock.monotonic() - self._began) * 1000

    def input_tokens(self) -> int:
        """An estimate of the input, for a provider that never told it."""
        return self._tokenizer.of_request(self._call.body)

    def content(self, progress: Progress) -> None:
        """Content began."""
        now = clock.monotonic()
        self.ttft_ms = (now - self._began) * 1000
        self._note(progress, now)

    def flowing(self, progress: Progress) -> None:
        """More content came; noted often at first, about once a second later."""
        now = clock.monotonic()
        if now >= self._next_progress:
            self._note(progress, now)

    def end(
        self,
        status: str,
        usage: TokenUsage | None,
        source: str,
        *,
        error: str | None = None,
        bytes_out: int | None = None,
    ) -> None:
        """The attempt is over. A second end is ignored."""
        if self._ended:
            return
        self._ended = True
        call, target = self._call, self._target
        if telemetry.enabled():
            telemetry.mark(self._span, None if status == "ok" else error or status, _spent_on(usage))
            self._span.end()
        if self._spool is None:
            return
        self.spent = Spent(
            provider=target.provider, model=target.model, requested_model=call.model, usage=usage, usage_source=source
        )
        self._spool.end(
            self._started.ended(
                usage=usage,
                usage_source=source,
                duration_ms=round(self.elapsed_ms, 3),
                ttft_ms=None if self.ttft_ms is None else round(self.ttft_ms, 3),
                status=status,
                error_msg=error[:_LONGEST_ERROR] if error else None,
                bytes_out=bytes_out,
            )
        )

    def _note(self, progress: Progress, now: float) -> None:
        # A short answer that is killed should be told as nearly as a long one: a quarter of its life may be missing.
        pause = max(PROGRESS_SOONEST_SECONDS, (now - self._began) / 4)
        self._next_progress = now + min(pause, PROGRESS_EVERY_SECONDS)
        usage, _ = used(progress, lambda: by_size(self._call.body))
        if self._spool is not None:
            self._spool.progress(AttemptProgress(event_id=self.event_id, usage=usage, ttft_ms=self.ttft_ms))


def _span(call: Call, number: int, target: Target) -> Span:
    """The attempt in OpenTelemetry's words for a call of a model."""
    attributes = {
        "gen_ai.operation.name": call.operation,
        "gen_ai.provider.name": target.provider,
        "gen_ai.request.model": target.model,
        "tollway.request_id": call.request_id,
        "tollway.attempt": number,
    }
    name = f"{call.operation} {target.model}"
    return telemetry.begin(name, parent=call.traceparent, kind=SpanKind.CLIENT, attributes=attributes)


def _spent_on(usage: TokenUsage | None) -> dict[str, int | None]:
    if usage is None:
        return {}
    return {"gen_ai.usage.input_tokens": usage.input_tokens, "gen_ai.usage.output_tokens": usage.output_tokens}


def used(progress: Progress, input_tokens: Callable[[], int]) -> tuple[TokenUsage, str]:
    """What an answer with content used, and how that is known: told by the provider in full, or partly estimated.

    Before the end of an answer a provider's count of its output is a beginning, not a total.
    """
    told = progress.usage
    if progress.finished and told.input_tokens is not None and told.output_tokens is not None:
        return told, "provider"
    estimate = TokenUsage(
        input_tokens=input_tokens() if told.input_tokens is None else None,
        output_tokens=None if progress.finished and told.output_tokens else progress.estimated_output_tokens,
    )
    return told.merge(estimate), "estimated"


def used_before_content(progress: Progress) -> tuple[TokenUsage | None, str]:
    """What an attempt used that was left or timed out before its first content: only what the provider had told."""
    if progress.usage.is_told:
        return progress.usage, "estimated"
    return None, "none"


def cut_answer(body: bytes) -> Progress:
    """What can be told of an answer in one piece that was cut: the text that had come."""
    progress = Progress()
    for text in _TEXTS.findall(body):
        progress.count_text(text.decode("utf-8", "replace"))
    return progress
