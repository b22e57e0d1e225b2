"""Webhooks over a real socket: signed, tried again, delivered once."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from sqlalchemy import text

from services.usage.webhooks import Webhooks
from shared.config.schema import Config
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


def sender(books: Books) -> Webhooks:
    resources = books.resources
    return Webhooks(resources.database, resources.config, resources.http, resources.settings)


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


def told(receiver: Receiver) -> list[tuple[str, int]]:
    """What the receiver heard, each with its threshold."""
    bodies = [json.loads(body) for _, body in receiver.seen]
    return [(body["type"], body["data"]["threshold"]) for body in bodies]


def is_signed(headers: dict[str, str], body: bytes, secret: bytes) -> bool:
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = base64.b64encode(hmac.new(secret, content, hashlib.sha256).digest()).decode()
    return headers["webhook-signature"] == f"v1,{digest}"


async def test_a_resolved_notice_is_signed_tried_again_and_never_overtakes_the_alert(
    tmp_path: Path, receiver: Receiver
) -> None:
    alert = {"name": "daily", "limit": 0.05, "thresholds": [1.0], "webhook": receiver.url, "secret": "s3cret"}
    raised = Config.model_validate({"usage": {"alerts": [{**alert, "limit": 5}]}})
    async with opened(tmp_path, {"usage": {"alerts": [alert]}}) as books:
        await books.ledger.book.book([ended("qwen-max")])
        books.resources.config.replace(raised)
        for _ in range(2):
            await books.ledger.alerts.settle()
        receiver.statuses = [500, 500, 200, 503, 200]
        for delivered in (0, 0, 1, 0, 1, 0):
            assert await sender(books).send_due() == delivered
            await hurry(books)
        reached, resolved = ("budget.threshold_reached", 100), ("budget.resolved", 100)
        assert told(receiver) == [reached] * 3 + [resolved] * 2
        assert all(is_signed(headers, body, b"s3cret") for headers, body in receiver.seen)
        assert len({headers["webhook-id"] for headers, _ in receiver.seen}) == 2
        assert json.loads(receiver.seen[-1][1])["data"]["reason"] == "the spending is below the threshold again"


async def test_two_ledgers_on_one_database_tell_each_thing_once(
    tmp_path: Path, receiver: Receiver, postgres_url: str
) -> None:
    alert = {"name": "daily", "limit": 0.2, "webhook": receiver.url}
    config = {"usage": {"alerts": [alert]}}
    raised = Config.model_validate({"usage": {"alerts": [{**alert, "limit": 50}]}})
    async with (
        opened(tmp_path / "one", config, url=postgres_url) as one,
        opened(tmp_path / "two", config, url=postgres_url) as two,
    ):
        both = (one, two) * 4
        await asyncio.gather(*(books.ledger.book.book([ended("qwen-max")]) for books in both))
        await asyncio.gather(*(sender(books).send_due() for books in both))
        assert sorted(told(receiver)) == [("budget.threshold_reached", 80), ("budget.threshold_reached", 100)]
        for books in (one, two):
            books.resources.config.replace(raised)
        await asyncio.gather(*(books.ledger.alerts.settle() for books in both))
        await asyncio.gather(*(sender(books).send_due() for books in both))
        assert sorted(told(receiver))[:2] == [("budget.resolved", 80), ("budget.resolved", 100)]
        assert len(receiver.seen) == 4
        await asyncio.gather(*(books.ledger.book.book([ended("qwen-max")]) for books in both))
        await asyncio.gather(*(sender(books).send_due() for books in both))
        assert len(receiver.seen) == 4


async def test_a_receiver_that_is_away_loses_nothing(tmp_path: Path) -> None:
    alert = {"name": "daily", "limit": 0.05, "thresholds": [1.0], "webhook": "http://127.0.0.1:9/hook"}
    async with opened(tmp_path, {"usage": {"alerts": [alert]}}) as books:
        sender = Webhooks(
            books.resources.database, books.resources.config, books.resources.http, books.resources.settings
        )
        await books.ledger.book.book([ended("qwen-max")])
        assert await sender.send_due() == 0
        assert (await books.get("alerts"))["alerts"][0]["delivered"] is False
