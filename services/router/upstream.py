"""One attempt: a provider is asked, and either brings the beginning of an answer or has failed. Booked either way."""

import asyncio

import structlog

from services.router.catalog import Target
from services.router.errors import AttemptFailed, Failure, failed, invalid_answer
from services.router.exchange import Broken, Exchange, Prepared
from services.router.headers import relayed
from services.router.meter import Meter, cut_answer, used, used_before_content
from services.router.providers.base import NotAnAnswer, Provider, Whole
from services.router.relay import Relay
from services.router.standing import Standing
from shared import clock
from shared.messages.gateway import Call
from shared.translate.errors import UpstreamError, parse_error, parse_retry_after, timed_out
from shared.translate.form import Broke, as_stream, as_whole, is_stream, is_whole
from shared.translate.progress import Progress
from shared.wire.usage import TokenUsage

log = structlog.get_logger(__name__)

_MOST_ERROR_BYTES = 1 << 20
_MOST_ANSWER_BYTES = 64 << 20


class Attempt:
    """One upstream attempt, from before its request to after its end."""

    def __init__(
        self,
        call: Call,
        target: Target,
        provider: Provider,
        key: str,
        prepared: Prepared,
        meter: Meter,
        standing: Standing,
    ) -> None:
        self.call = call
        self.target = target
        self.provider = provider
        self.meter = meter
        self.exchange: Exchange | None = None
        self.relay: Relay | None = None
        self.held = b""
        self.whole: Whole | None = None
        self.over = False
        self.deadline_at = 0.0
        self._parts: list[bytes] = []
        self._key = key
        self.prepared = prepared
        self._standing = standing

    @property
    def same_dialect(self) -> bool:
        """Whether the provider speaks the client's dialect."""
        return self.provider.dialect == self.call.dialect

    @property
    def lossy(self) -> tuple[str, ...]:
        """What could not be carried over."""
        return self.prepared.lossy

    async def open(self) -> None:
        """Ask, and wait for the first content or the whole answer; raises AttemptFailed."""
        timeouts, loop = self.provider.timeouts, asyncio.get_running_loop()
        self.deadline_at = loop.time() + timeouts.total
        try:
            async with asyncio.timeout(min(timeouts.first_byte, timeouts.total)) as deadline:
                self.exchange = await self.provider.ask(self.call, self.prepared)
                if not 200 <= self.exchange.status < 300:
                    raise await self._refusal(self.exchange)
                if self.call.stream:
                    await self._first_content(self.exchange, deadline)
                else:
                    self.whole = self._answer_in(await self._body(self.exchange, deadline))
        except TimeoutError:
            error = timed_out("the provider did not answer in time")
            raise self.fail(failed(error).failure) from None
        except Broken as broken:
            raise self.fail(failed(broken.error).failure) from broken
        except AttemptFailed as refusal:
            raise self.fail(refusal.failure) from None
        except asyncio.CancelledError:
            self.leave()
            raise
        except Exception as error:
            # The edge to foreign data: what an odd answer breaks is this attempt's failure, not the client's 500.
            log.exception("answer_not_understood", provider=self.provider.name, request_id=self.call.request_id)
            not_understood = invalid_answer("the provider's answer could not be understood")
            raise self.fail(failed(not_understood).failure) from error

    def succeed(self, bytes_out: int) -> None:
        """The answer is complete."""
        if self.over:
            return
        progress = self.whole.progress if self.whole is not None else self._progress()
        usage, source = used(progress, self.meter.input_tokens)
        self._close()
        self.meter.end("ok", usage, source, bytes_out=bytes_out)
        # An answer in one piece has no first token; the whole wait is what its client felt.
        waited = self.meter.ttft_ms if self.meter.ttft_ms is not None else self.meter.elapsed_ms
        self._standing.answered(self.provider, self.target, self.meter.started_at, waited)
        self._standing.dropped(self.provider, progress.dropped)

    def break_off(self, error: UpstreamError, bytes_out: int) -> None:
        """The stream failed after content had gone out: nothing is tried again."""
        if self.over:
            return
        usage, source = used(self._progress(), self.meter.input_tokens)
        self._close()
        self.meter.end("error", usage, source, error=error.message, bytes_out=bytes_out)
        self._standing.failed(self.provider, self.target, self._key, failed(error).failure)
        self._standing.dropped(self.provider, self._progress().dropped)

    def fail(self, failure: Failure) -> AttemptFailed:
        """The attempt brought no answer."""
        usage, source = self._used_so_far() if failure.kind in ("timeout", "connection") else (None, "none")
        self._close()
        log.info(
            "attempt_failed",
            request_id=self.call.request_id,
            provider=self.provider.name,
            model=self.target.model,
            kind=failure.kind,
            status=failure.error.status,
        )
        seen = self._standing.failed(self.provider, self.target, self._key, failure)
        self.meter.end("error", usage, source, error=f"{failure.error.status}: {failure.error.message}")
        return AttemptFailed(seen)

    def leave(self, status: str | None = None, bytes_out: int | None = None) -> str:
        """The client left (`aborted`) or we are stopping (`interrupted`); returns which."""
        status = status or self._standing.leaving
        if self.over:
            return status
        usage, source = self._used_so_far()
        self._close()
        self.meter.end(status, usage, source, error=_LEFT.get(status), bytes_out=bytes_out)
        self._standing.left(self.provider)
        return status

    async def _refusal(self, exchange: Exchange) -> AttemptFailed:
        body = await _read_error(exchange)
        retry_after = parse_retry_after(exchange.headers.get("retry-after"), clock.now())
        error = parse_error(exchange.status, body, self.provider.dialect, retry_after)
        return failed(error, relayed(exchange.headers, same_dialect=self.same_dialect))

    async def _first_content(self, exchange: Exchange, deadline: asyncio.Timeout) -> None:
        """Hold lifecycle frames until there is content: until then a failure can still be somebody else's answer."""
        relay = self.relay = Relay(self.provider.reader(self.call, self.prepared), choices=self.prepared.choices)
        progress, held, is_stream = relay.progress, [], False
        while True:
            data = await exchange.read()
            if not is_stream and data.strip():
                if is_whole(data):
                    # A provider that does not stream has answered all the same.
                    data = self._as_stream(await self._body(exchange, deadline, data))
                is_stream = True
            held.append(relay.feed(data) if data else relay.finish())
            if progress.started_content or progress.finished:
                break
            if progress.failure is not None:
                raise failed(progress.failure)
            if not data:
                raise failed(invalid_answer("the provider ended its stream before any content"))
        self.held = b"".join(held)
        self.meter.content(progress)

    async def _body(self, exchange: Exchange, deadline: asyncio.Timeout, first: bytes = b"") -> bytes:
        """The whole body, of which `first` was read."""
        loop, idle, parts = asyncio.get_running_loop(), self.provider.timeouts.idle, self._parts
        size = 0
        while data := first or await exchange.read():
            first = b""
            parts.append(data)
            size += len(data)
            if size > _MOST_ANSWER_BYTES:
                raise failed(invalid_answer("the provider's answer is larger than any answer can be"))
            if exchange.at_end:
                break
            deadline.reschedule(min(loop.time() + idle, self.deadline_at))
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _answer_in(self, body: bytes) -> Whole:
        """The client's answer in the provider's body, which some providers stream whatever they are asked."""
        try:
            if is_stream(body):
                body = as_whole(body, self.provider.dialect)
            return self.provider.whole(self.call, self.prepared, body)
        except Broke as broke:
            raise failed(broke.error) from None
        except NotAnAnswer as reason:
            raise failed(_error_in(body, self.provider) or invalid_answer(str(reason))) from None

    def _as_stream(self, body: bytes) -> bytes:
        """The stream of a body that is a whole answer; a whole error fails as one."""
        self._answer_in(body)
        return as_stream(body, self.provider.dialect)

    def _used_so_far(self) -> tuple[TokenUsage | None, str]:
        """What a cut attempt used: nothing that is known before a byte came, an estimate after."""
        if self.relay is not None and self.relay.progress.started_content:
            return used(self.relay.progress, self.meter.input_tokens)
        if self._parts:
            return used(cut_answer(b"".join(self._parts)), self.meter.input_tokens)
        if self.relay is not None:
            return used_before_content(self.relay.progress)
        return None, "none"

    def _progress(self) -> Progress:
        assert self.relay is not None  # noqa: S101 -- only a stream gets here
        return self.relay.progress

    def _close(self) -> None:
        self.over = True
        if self.exchange is not None:
            self.exchange.close()


_LEFT = {"aborted": "the client left", "interrupted": "Tollway stopped before the answer ended"}


async def _read_error(exchange: Exchange) -> bytes:
    """The body of a refusal as far as it can be had: a cut one still says something."""
    parts, size = [], 0
    try:
        while size < _MOST_ERROR_BYTES and (data := await exchange.read()):
            parts.append(data)
            size += len(data)
    except Broken:
        pass
    return b"".join(parts)


def _error_in(body: bytes, provider: Provider) -> UpstreamError | None:
    """The error in a body that came with a good status."""
    if b'"error"' not in body:
        return None
    error = parse_error(200, body, provider.dialect)
    return error if error.type or error.code else None
