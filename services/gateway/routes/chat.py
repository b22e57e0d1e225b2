"""The chat surface: streamed answers as chat events, stopping them, and which tools and servers there are."""

from pathlib import Path
from typing import Any

import structlog

from services.gateway import metrics
from services.gateway.answer import Desk
from services.gateway.answers import whole_body
from services.gateway.chat.answer import ChatAnswer, ChatEvents
from services.gateway.chat.request import read_chat, read_stop
from services.gateway.chat.running import RunningChats
from services.gateway.errors import MethodNotAllowed
from services.gateway.exchange import Exchange, Floor
from services.gateway.prompt_cache import HEADER
from services.gateway.request import Admitted
from services.gateway.tool_loop.client import ToolsClient
from shared import clock
from shared.errors import TollwayError
from shared.health import App, Receive, Scope, Send
from shared.service import Resources
from shared.wire.json_text import NotJsonError, decode_object, encode

log = structlog.get_logger(__name__)

PAGE = Path(__file__).parents[1] / "static" / "chat.html"
PAGE_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def chat_endpoints(
    desk: Desk, tools: ToolsClient, resources: Resources, floor: Floor, running: RunningChats
) -> dict[str, App]:
    """The doors by path; each looks at the method by itself."""
    return {
        "/api/chat/stream": ChatEndpoint(desk, resources, floor, running, direct=False),
        "/api/chat/stream/direct": ChatEndpoint(desk, resources, floor, running, direct=True),
        "/api/chat/abort": AbortEndpoint(desk, floor, running),
        "/api/chat/page": PageEndpoint(floor),
        "/api/tools": ListEndpoint(desk, floor, tools, "tools"),
        "/api/servers": ListEndpoint(desk, floor, tools, "servers"),
    }


class ChatExchange(Exchange):
    """An exchange whose stream ends with a chat event, whatever went wrong."""

    def __init__(self, floor: Floor, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(floor, scope, receive, send, "openai")
        self.events = ChatEvents()
        self.added = {HEADER: "off"}  # unless the cache itself says otherwise

    async def refuse(self, error: TollwayError) -> None:
        """Tell a failure: as a status while nothing was sent, else as the last event."""
        if self.status is None:
            await super().refuse(error)
        elif not self._over and self._boundary:
            await self._end(self.events.encoded("error", {"error": error.message, "code": error.error_code}))


class ChatEndpoint:
    """`/api/chat/stream` keeps the session; `/api/chat/stream/direct` is given the whole conversation."""

    def __init__(self, desk: Desk, resources: Resources, floor: Floor, running: RunningChats, *, direct: bool) -> None:
        self._desk = desk
        self._tasks = resources.tasks
        self._floor = floor
        self._running = running
        self._direct = direct

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        exchange = ChatExchange(self._floor, scope, receive, send)
        in_flight = metrics.IN_FLIGHT.labels("chat")
        in_flight.inc()
        try:
            await exchange.traced("chat", lambda _: self._chat(exchange, scope["method"]))
        finally:
            in_flight.dec()
            log.info(
                "chatted",
                request_id=exchange.request_id,
                status=exchange.status,
                outcome=exchange.outcome,
                ms=round((clock.monotonic() - exchange.began) * 1000, 1),
            )

    async def _chat(self, exchange: ChatExchange, method: str) -> None:
        _require(method, "POST")
        caller = self._desk.identify(exchange.headers)
        body = await exchange.body()
        request = read_chat(body, exchange.headers, direct=self._direct, observer=exchange.events)
        admitted = Admitted(caller=caller, request_id=exchange.request_id, traceparent=exchange.traceparent)
        exchange.streams()
        answer = ChatAnswer(lambda: self._desk.answer(admitted, request), exchange.events, self._tasks)
        async with self._running.hold(caller.scope, request.session_id, exchange.request_id, answer.stop):
            await self._relay(exchange, answer)

    async def _relay(self, exchange: ChatExchange, answer: ChatAnswer) -> None:
        try:
            await answer.opened.wait()
        except BaseException:
            await answer.close()
            raise
        if answer.failure is not None and exchange.status is None:
            raise answer.failure
        if answer.refused is not None and exchange.status is None:
            await exchange.relay(answer.refused)
        elif answer.refused is not None:
            await exchange.refuse(_told(await whole_body(answer.refused)))
        elif answer.failure is not None:
            await exchange.refuse(answer.failure)
        else:
            await exchange.relay(answer)


class AbortEndpoint:
    """`/api/chat/abort`."""

    def __init__(self, desk: Desk, floor: Floor, running: RunningChats) -> None:
        self._desk = desk
        self._floor = floor
        self._running = running

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        exchange = Exchange(self._floor, scope, receive, send, "openai")

        async def work(exchange: Exchange) -> None:
            _require(scope["method"], "POST")
            caller = self._desk.identify(exchange.headers)
            session_id, request_id = read_stop(await exchange.body())
            aborted = await self._running.abort(caller.scope, session_id, request_id)
            await exchange.respond(200, {}, encode({"aborted": aborted}))

        await exchange.run(work)


class PageEndpoint:
    """`/api/chat/page`: a small browser client, to try the chat and to read how it is done."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._page = PAGE.read_bytes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        exchange = Exchange(self._floor, scope, receive, send, "openai")

        async def work(exchange: Exchange) -> None:
            _require(scope["method"], "GET", "HEAD")
            headers = {"content-type": "text/html; charset=utf-8", "content-security-policy": PAGE_POLICY}
            await exchange.respond(200, headers, self._page)

        await exchange.run(work)


class ListEndpoint:
    """`/api/tools` and `/api/servers`: what the caller may use, right now."""

    def __init__(self, desk: Desk, floor: Floor, tools: ToolsClient, what: str) -> None:
        self._desk = desk
        self._floor = floor
        self._tools = tools
        self._what = what

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        exchange = Exchange(self._floor, scope, receive, send, "openai")

        async def work(exchange: Exchange) -> None:
            _require(scope["method"], "GET", "HEAD")
            key = self._desk.identify(exchange.headers).key
            allowed = key.tools if key is not None else None
            await self._tools.settled()
            rows: list[dict[str, Any]] = getattr(self._tools, self._what)(allowed)
            await exchange.respond(200, {}, encode({self._what: rows}))

        await exchange.run(work)


def _told(body: bytes) -> TollwayError:
    """A provider's refusal that came when the stream had begun already."""
    try:
        error = decode_object(body).get("error")
    except NotJsonError:
        error = None
    told = error if isinstance(error, dict) else {}
    message = str(told.get("message") or "the provider refused the request")
    return TollwayError(message, code=str(told.get("code") or told.get("type") or "provider_refused"))


def _require(method: str, *allowed: str) -> None:
    if method not in allowed:
        raise MethodNotAllowed.use(allowed)
