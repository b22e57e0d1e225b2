"""Webhooks over a real socket: signed, tried again, delivered once."""

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from sqlalchemy import text

from services.usage.webhooks import Webhooks
from tests.fakes.ledger import Books, ended, opened


@dataclass
class Receiver:
    url: str = ""
    statuses: list[int] = field(default_factory=list)
    seen: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        self.seen.append(({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    found = Receiver()
    app = web.Application()
    app.router.add_post("/hook", found.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield found
    await runner.cleanup()


async def hurry(books: Books) -> None:
    """Make what waits for its next try due now."""
    async with books.resources.database.begin() as connection:
        await connection.execute(text("UPDATE usage_outbox SET next_us = 0"))


async def test_a_notice_is_signed_tried_again_and_delivered_once(tmp_path: Path, receiver: Receiver) -> None:
    alert = {"name": "daily", "limit": 0.05, "thresholds": [1.0], "webhook": receiver.url, "secret": "s3cret"}
    async with opened(tmp_path, {"usage": {"alerts": [alert]}}) as books:
        sender = Webhooks(
            books.resources.database, books.resources.config, books.resources.http, books.resources.settings
        )
        receiver.statuses = [500, 302]
        await books.ledger.book.book([ended("qwen-max")])
        for delivered in (0, 0, 1, 0):
            assert await sender.send_due() == delivered
            await hurry(books)
        assert len(receiver.seen) == 3
        assert len({headers["webhook-id"] for headers, _ in receiver.seen}) == 1
        headers, body = receiver.seen[-1]
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        digest = base64.b64encode(hmac.new(b"s3cret", signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{digest}"
        assert b'"type":"budget.threshold_reached"' in body
        assert b'"spent":0.082' in body
        assert (await books.get("alerts"))["alerts"][0]["delivered"] is True


async def test_a_receiver_that_is_away_loses_nothing(tmp_path: Path) -> None:
    alert = {"name": "daily", "limit": 0.05, "thresholds": [1.0], "webhook": "http://127.0.0.1:9/hook"}
    async with opened(tmp_path, {"usage": {"alerts": [alert]}}) as books:
        sender = Webhooks(
            books.resources.database, books.resources.config, books.resources.http, books.resources.settings
        )
        await books.ledger.book.book([ended("qwen-max")])
        assert await sender.send_due() == 0
        assert (await books.get("alerts"))["alerts"][0]["delivered"] is False
