"""What stands before the routes of the framework: bounds and sanity of bodies as at the hot doors, a request id."""

from typing import Any

from services.gateway.exchange import Exchange, Floor
from services.gateway.request import read_members
from shared.errors import BadRequest
from shared.health import App, Receive, Scope, Send
from shared.peers import LocalPeer

_CHANGING = ("POST", "PATCH", "PUT")
_GUARDED = "/admin/"


class Guarded:
    """Reads `/admin` bodies whole and checked before a framework sees them; the other routes read for themselves."""

    def __init__(self, app: App, floor: Floor) -> None:
        self._app = app
        self._floor = floor
        self._peer = LocalPeer(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if not scope["path"].startswith(_GUARDED):
            await self._app(scope, receive, send)
            return
        exchange = Exchange(self._floor, scope, receive, send, "openai")

        async def marked(message: Any) -> None:
            if message["type"] == "http.response.start":
                others = [(name, value) for name, value in message["headers"] if name != b"x-request-id"]
                message = {**message, "headers": [*others, (b"x-request-id", exchange.request_id.encode())]}
            await send(message)
            exchange.passed(message)

        async def work(exchange: Exchange) -> None:
            body = await exchange.body()
            if body and scope["method"] in _CHANGING:
                doubled = read_members(body).doubled
                if doubled:
                    name = min(doubled)
                    raise BadRequest(f"'{name}' is given twice.", param=name)
            # The body was read as JSON: what `curl -d` calls it does not matter.
            headers = [pair for pair in scope["headers"] if pair[0] not in (b"content-length", b"content-type")]
            headers.append((b"content-type", b"application/json"))
            await self._peer.forward(scope, headers, body, marked)

        await exchange.run(work)
