"""Surfaces of other services on the gateway's one origin: who asks is settled here, and told in headers only we
may set.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from services.gateway.auth import Doorkeeper
from services.gateway.exchange import Exchange, Floor
from shared.errors import Unauthenticated
from shared.health import App, Receive, Scope, Send
from shared.lifecycle import Lifecycle
from shared.peers import Headers, Peer, kept_request_headers
from shared.tasks import cancel

DASHBOARD = "/static/"
USAGE = "/api/ai_usage"
WHOAMI = USAGE + "/whoami"
REPORTS = "/v1/reports"


@dataclass(frozen=True)
class Peers:
    """The services behind the gateway; one that is missing is not forwarded to."""

    usage: Peer | None
    reports: Peer | None


class Forwarder:
    """Finds the service of a path and hands the request on."""

    def __init__(self, *, doorkeeper: Doorkeeper, floor: Floor, peers: Peers, lifecycle: Lifecycle) -> None:
        self._doorkeeper = doorkeeper
        self._floor = floor
        self._peers = peers
        self._lifecycle = lifecycle

    def find(self, path: str) -> App | None:
        """Who answers a path; None when it is not forwarded."""
        if path == REPORTS or path.startswith(REPORTS + "/"):
            return self._app(self._peers.reports, self._identity)
        if path == WHOAMI:
            return self._app(self._peers.usage, self._whoever)
        if path.startswith(USAGE + "/"):
            return self._app(self._peers.usage, self._usage_identity)
        if path.startswith(DASHBOARD):
            return self._app(self._peers.usage, lambda _: [])
        return None

    def _app(self, peer: Peer | None, identity: Callable[[dict[str, str]], Headers]) -> App | None:
        if peer is None:
            return None

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            exchange = Exchange(self._floor, scope, receive, send, "openai")
            outgoing = _Outgoing(exchange, send)

            async def work(exchange: Exchange) -> None:
                headers = kept_request_headers(scope["headers"], _ours_alone)
                headers += [*identity(exchange.headers), (b"x-request-id", exchange.request_id.encode())]
                body = await exchange.body()
                await self._until_draining(peer.forward(scope, headers, body, outgoing), outgoing)

            await exchange.run(work)

        return app

    async def _until_draining(self, forwarding: Coroutine[Any, Any, None], outgoing: "_Outgoing") -> None:
        """A live stream has no end of its own: it must not keep a stopping process waiting."""
        task = self._floor.tasks.start(forwarding, name="forward")
        draining = self._floor.tasks.start(_wait(self._lifecycle.draining), name="forward_draining")
        try:
            await asyncio.wait({task, draining}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                if outgoing.is_live:
                    await cancel(task)
                    await outgoing.end()
                    return
                await asyncio.wait({task})
            await task
        finally:
            draining.cancel()
            if not task.done():
                await cancel(task)

    def _identity(self, headers: dict[str, str]) -> Headers:
        caller = self._doorkeeper.identify(headers)
        if caller.is_admin:
            return [(b"x-tollway-admin", b"1")]
        return [(b"x-tollway-key-id", caller.key_id.encode())] if caller.key_id else []

    def _usage_identity(self, headers: dict[str, str]) -> Headers:
        """A key sees its own usage, an overseer everybody's, ops too but without changing any; nobody else sees any."""
        if self._doorkeeper.oversees(headers):
            return [(b"x-tollway-admin", b"1")]
        if self._doorkeeper.watches(headers):
            return [(b"x-tollway-ops", b"1")]
        caller = self._doorkeeper.identify(headers)
        if caller.key_id is None:
            raise Unauthenticated("The admin token or a key is needed here.")
        return [(b"x-tollway-key-id", caller.key_id.encode())]

    def _whoever(self, headers: dict[str, str]) -> Headers:
        """Who asks who they are may be nobody: a page learns so that it has to show its sign-in form."""
        try:
            return self._usage_identity(headers)
        except Unauthenticated:
            return [(b"x-tollway-nobody", b"1")]


def _ours_alone(name: bytes) -> bool:
    """Headers that say who asks may only come from us; keys end here."""
    return name in (b"x-tollway-internal", b"x-tollway-key-id", b"x-tollway-admin", b"x-tollway-ops",
                    b"x-tollway-nobody", b"x-request-id", b"authorization", b"x-api-key", b"cookie")  # fmt: skip


class _Outgoing:
    """The client's `send`, with the exchange told how far the response has come."""

    def __init__(self, exchange: Exchange, send: Send) -> None:
        self._exchange = exchange
        self._send = send
        self.is_live = False

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            headers = [(name, value) for name, value in message["headers"] if name.lower() != b"x-request-id"]
            self.is_live = any(
                name.lower() == b"content-type" and value.startswith(b"text/event-stream") for name, value in headers
            )
            own = (b"x-request-id", self._exchange.request_id.encode())
            message = {**message, "headers": [*headers, own]}
        await self._send(message)
        self._exchange.passed(message)

    async def end(self) -> None:
        """End a live stream properly, unless its own service did so."""
        if not self._exchange.over:
            await self({"type": "http.response.body", "body": b"", "more_body": False})


async def _wait(event: asyncio.Event) -> None:
    await event.wait()
