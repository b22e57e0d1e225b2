"""A hot door: one model call as a raw ASGI endpoint, from the head of the request to its one line in the log."""

import structlog

from services.gateway import metrics, prompt_cache
from services.gateway.answer import Desk
from services.gateway.exchange import Exchange, Floor
from services.gateway.request import Admitted, ClientRequest, read_request
from services.gateway.sessions import header_of
from shared import clock
from shared.health import Receive, Scope, Send
from shared.messages.gateway import Answer, Dialect, Ending, Operation

log = structlog.get_logger(__name__)

# What of a request's head concerns the provider; hop by hop, keys and cookies never do.
_TRAVELS = ("anthropic-", "openai-beta")
_CACHE_OFF = {prompt_cache.HEADER: "off"}  # unless the cache itself says otherwise


class ModelEndpoint:
    """Chat completions, messages, token counts or embeddings, in one dialect."""

    def __init__(self, desk: Desk, floor: Floor, dialect: Dialect, operation: Operation) -> None:
        self._desk = desk
        self._floor = floor
        self._dialect: Dialect = dialect
        self._operation: Operation = operation
        self._in_flight = metrics.IN_FLIGHT.labels(operation)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        exchange = Exchange(self._floor, scope, receive, send, self._dialect)
        exchange.added = _CACHE_OFF if self._operation == "chat" else {}
        visit = _Visit(self, exchange)
        self._in_flight.inc()
        try:
            await exchange.traced(self._operation, visit.work)
        finally:
            self._in_flight.dec()
            self._tell(exchange, visit)

    async def visit(self, exchange: Exchange, visit: "_Visit") -> None:
        """Admit, ask, relay."""
        headers = exchange.headers
        caller = self._desk.identify(headers)
        visit.key_id = caller.key_id
        request = visit.request = read_request(await exchange.body(), headers, self._dialect, self._operation)
        if request.stream:
            exchange.streams()
        if request.session is not None and self._operation == "chat":
            exchange.added = {**exchange.added, **header_of(request.session)}  # also when a keep-alive opens the stream
        admitted = Admitted(
            caller=caller,
            request_id=exchange.request_id,
            headers={name: value for name, value in headers.items() if name.startswith(_TRAVELS)},
            query=exchange.query,
            traceparent=exchange.traceparent,
        )
        exchange.span.set_attribute("gen_ai.request.model", request.model)
        visit.answer = await self._desk.answer(admitted, request)
        exchange.span.set_attribute("gen_ai.response.model", visit.answer.headers.get("x-tollway-model", ""))
        await exchange.relay(visit.answer)

    def _tell(self, exchange: Exchange, visit: "_Visit") -> None:
        request, answer = visit.request, visit.answer
        ending = answer.ending if answer is not None else None
        ending = ending or Ending()
        answered_by = answer.headers.get("x-tollway-model") if answer is not None else None
        seconds = clock.monotonic() - exchange.began
        outcome = exchange.outcome if exchange.outcome != "ok" or (exchange.status or 0) < 400 else "refused"
        first_byte = None if exchange.first_byte is None else exchange.first_byte - exchange.began
        self._count(answered_by, outcome, ending, seconds, first_byte)
        line = {
            "client_request_id": exchange.headers.get("x-request-id"),
            "key_id": visit.key_id,
            "requested_model": request.model if request else None,
            "model": answered_by,
            "stream": request.stream if request else None,
            "attempts": ending.attempts if answer is not None else None,
            "input_tokens": ending.usage.input_tokens if ending.usage else None,
            "output_tokens": ending.usage.output_tokens if ending.usage else None,
            "first_byte_ms": None if first_byte is None else round(first_byte * 1000, 1),
        }
        log.info(
            "answered",
            request_id=exchange.request_id,
            operation=self._operation,
            dialect=self._dialect,
            status=exchange.status,
            outcome=outcome,
            ms=round(seconds * 1000, 1),
            **{name: value for name, value in line.items() if value is not None},
        )

    def _count(self, model: str | None, outcome: str, ending: Ending, seconds: float, first_byte: float | None) -> None:
        told = metrics.told(self._operation, self._dialect, model, outcome)
        told.requests.inc()
        if model is None:
            return
        told.duration.observe(seconds)
        if first_byte is not None:
            told.first_byte.observe(first_byte)
        if ending.usage is not None:
            told.tokens_in.inc(ending.usage.input_tokens or 0)
            told.tokens_out.inc(ending.usage.output_tokens or 0)


class _Visit:
    """What became known of a request while it was answered."""

    def __init__(self, endpoint: ModelEndpoint, exchange: Exchange) -> None:
        self._endpoint = endpoint
        self._exchange = exchange
        self.request: ClientRequest | None = None
        self.answer: Answer | None = None
        self.key_id: str | None = None

    async def work(self, exchange: Exchange) -> None:
        """The exchange's work."""
        await self._endpoint.visit(exchange, self)
