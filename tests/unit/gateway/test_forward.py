"""Forwarded live streams end when the process drains, whoever ends them first."""

import asyncio
from typing import Any

import pytest

from services.gateway.routes.forward import USAGE, WHOAMI, Forwarder, Peers
from tests.fakes.gateway import ADMIN, OPS, Gateway, Visit


class Live:
    """A service with a stream that has no end of its own."""

    def __init__(self, *, ends_by_itself: bool) -> None:
        self._ends = ends_by_itself

    async def get_json(self, path: str) -> Any:
        raise NotImplementedError(path)

    async def forward(self, scope: Any, headers: Any, body: bytes, send: Any) -> None:
        head = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        try:
            await asyncio.Event().wait()
        finally:
            if self._ends:
                await send({"type": "http.response.body", "body": b"", "more_body": False})


@pytest.mark.parametrize("ends_by_itself", [True, False])
async def test_a_live_stream_ends_once_when_the_process_drains(gateway: Gateway, ends_by_itself: bool) -> None:
    edge = gateway.part.http
    live = Live(ends_by_itself=ends_by_itself)
    forwarder = Forwarder(
        doorkeeper=edge._forwarder._doorkeeper,
        floor=edge._floor,
        peers=Peers(usage=live, reports=None),
        lifecycle=gateway.resources.lifecycle,
    )
    app = forwarder.find(USAGE + "/live")
    visit = Visit(app, "GET", USAGE + "/live", {"authorization": f"Bearer {ADMIN}"}, b"")
    await visit.until(lambda response: bool(response.body))
    gateway.resources.lifecycle.draining.set()
    answer = await visit.done(2)
    assert answer.complete
    assert answer.body == b"data: 1\n\n"


class Echo:
    """A service that answers with who the gateway says is asking."""

    async def get_json(self, path: str) -> Any:
        raise NotImplementedError(path)

    async def forward(self, scope: Any, headers: Any, body: bytes, send: Any) -> None:
        told = b" ".join(name for name, _ in headers if name.startswith(b"x-tollway-"))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": told, "more_body": False})


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"authorization": f"Bearer {ADMIN}"}, b"x-tollway-admin"),
        ({"authorization": f"Bearer {OPS}"}, b"x-tollway-ops"),
        ({"x-api-key": OPS, "x-tollway-admin": "1"}, b"x-tollway-ops"),
        ({"authorization": "Bearer wrong"}, b"x-tollway-nobody"),
        ({}, b"x-tollway-nobody"),
        ({"x-tollway-admin": "1"}, b"x-tollway-nobody"),
        ({"x-tollway-ops": "1"}, b"x-tollway-nobody"),
    ],
)
async def test_a_page_may_ask_who_it_is_before_anybody_signed_in(
    gateway: Gateway, headers: dict[str, str], told: bytes
) -> None:
    edge = gateway.part.http
    forwarder = Forwarder(
        doorkeeper=edge._forwarder._doorkeeper,
        floor=edge._floor,
        peers=Peers(usage=Echo(), reports=None),
        lifecycle=gateway.resources.lifecycle,
    )
    visit = Visit(forwarder.find(WHOAMI), "GET", WHOAMI, headers, b"")
    answer = await visit.done(2)
    assert (answer.status, answer.body) == (200, told)


async def test_the_ops_token_opens_usage_and_nothing_else(gateway: Gateway) -> None:
    await gateway.make_key()
    shown = {"authorization": f"Bearer {OPS}"}
    assert (await gateway.get("/api/ai_usage/stats/current", **shown)).status == 200
    assert (await gateway.get("/v1/models", **shown)).status == 401
    assert (await gateway.get("/admin/keys", **shown)).status in (401, 403)
