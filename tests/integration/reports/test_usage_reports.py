"""Usage reports against a real ledger: equal to it to the last unit, a key's own only, and what happens while it is away."""

import csv
import io
import json
from contextlib import asynccontextmanager
from datetime import date, timedelta
from decimal import Decimal

import pytest

from services.reports import request
from services.reports.errors import FieldInvalid
from services.reports.job import filename
from services.usage import app as usage_app
from shared import clock
from tests.fakes.ledger import ended, opened
from tests.integration.reports.desk import service

ADMIN = {"x-tollway-admin": "1"}
DAY = 86_400
CONFIG = {
    "prices": {"odd": {"input": "0.000001", "output": "0"}, "dollar": {"input": 1, "output": 2, "currency": "USD"}},
}


@asynccontextmanager
async def books_and_desk(folder):
    async with (
        opened(folder / "ledger", {"usage": CONFIG}) as books,
        service(folder, usage=usage_app.routes(books.ledger)) as client,
    ):
        yield books, client


async def made(client, body, headers=None):
    status, job = await client("POST", "/v1/reports", body, headers or ADMIN)
    assert status == 202, job
    return await client.ended(job["id"])


async def bodies(client, job):
    return {a["format"]: (await client("GET", a["url"], headers=ADMIN))[1] for a in job["artifacts"]}


def attempts():
    now = clock.now()
    yield from (ended("odd", 7, 0, at=now, user_id="=f()", key_id="alice") for _ in range(301))
    yield from (ended("dollar", 1000, 10, at=now - DAY, key_id="bob") for _ in range(3))
    yield ended("mystery", 5, 5, at=now)
    yield ended("odd", 1, 0, at=now - 40 * DAY)


async def test_every_format_equals_the_ledger_to_the_last_unit(tmp_path):
    async with books_and_desk(tmp_path) as (books, client):
        await books.ledger.book.book(list(attempts()))
        job = await made(client, {"type": "usage", "days": 7, "formats": ["json", "csv", "html"]})
        assert (job["status"], job["warnings"]) == ("succeeded", [])
        files = await bodies(client, job)
        totals = json.loads(await client.artifact(job, "json"), parse_float=Decimal)
        trend = (await books.client.get("/api/ai_usage/cost_trend?days=7")).text
        kept = sum(row["cost"] for row in json.loads(trend, parse_float=Decimal)["data"])
        assert totals["total_cost"] == kept == sum(day["cost"] for day in totals["daily"])
        for group in ("model", "function", "user", "key", "provider", "anchor"):
            assert sum(row["cost"] for row in totals[f"by_{group}"].values()) == kept
            assert sum(row["calls"] for row in totals[f"by_{group}"].values()) == totals["total_calls"] == 305
        rows = list(csv.DictReader(io.StringIO(files["csv"].decode(), newline="")))
        assert len(rows) == 305
        assert sum(int(row["total_tokens"]) for row in rows) == totals["total_tokens"]
        assert (
            sum(Decimal(row["cost"]) for row in rows if row["currency"] == "CNY") == totals["by_model"]["odd"]["cost"]
        )
        assert {row["user_id"] for row in rows} == {"'=f()", ""}
        assert b"<svg" in files["html"]
        assert b"not in the cost: 1." in files["html"]


async def test_a_month_is_the_ledgers_own_days_from_the_first_to_the_last(tmp_path):
    async with books_and_desk(tmp_path) as (books, client):
        zone = books.ledger.zone
        first, last = date(2026, 10, 1), date(2026, 10, 31)
        edges = [zone.start_of(first), zone.start_of(last + timedelta(days=1)) - 1]
        outside = [edges[0] - 1, edges[1] + 1]
        await books.ledger.book.book([ended("odd", 1000, 0, at=at, user_id="u") for at in (*edges, *outside)])
        body = {"type": "usage", "from": "2026-10-01", "to": "2026-10-31", "formats": ["json", "csv", "html"]}
        job = await made(client, body)
        assert (job["status"], job["warnings"]) == ("succeeded", [])
        assert {name: job["request"].get(name) for name in ("from", "to", "days")} == {
            "from": "2026-10-01", "to": "2026-10-31", "days": None,
        }  # fmt: skip
        files = await bodies(client, job)
        totals = json.loads(await client.artifact(job, "json"))
        assert (totals["total_calls"], totals["first_day"], totals["last_day"]) == (2, "2026-10-01", "2026-10-31")
        assert [day["date"] for day in totals["daily"] if day["calls"]] == ["2026-10-01", "2026-10-31"]
        assert len(totals["daily"]) == 31
        assert len(files["csv"].splitlines()) == 3
        assert filename(job["request"], "html") == "usage_2026-10-01_2026-10-31_report.html"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"from": "2026-10-01"}, "from"),
        ({"to": "2026-10-01"}, "from"),
        ({"from": "October", "to": "2026-10-31"}, "from"),
        ({"from": "2026-10-01", "to": 31}, "to"),
        ({"from": "2026-10-02", "to": "2026-10-01"}, "from"),
        ({"from": "2025-01-01", "to": "2026-10-01"}, "from"),
        ({"from": "9999-12-31", "to": "9999-12-31"}, "from"),
        ({"from": "2026-10-01", "to": "2026-10-31", "days": 31}, "days"),
    ],
)
def test_a_period_that_is_none_is_refused_by_name(body, param):
    with pytest.raises(FieldInvalid) as refused:
        request.read({"type": "usage", **body})
    assert refused.value.param == param


async def test_costs_in_another_currency_are_in_a_long_periods_sum_too(tmp_path):
    """Long periods were once added up from the events alone, which have no rate."""
    async with books_and_desk(tmp_path) as (books, client):
        await books.ledger.book.book(list(attempts()))
        job = await made(client, {"type": "usage", "days": 365})
        totals = json.loads(await client.artifact(job, "json"), parse_float=Decimal)
        assert totals["by_model"]["dollar"]["cost"] > 3
        assert totals["total_cost"] == sum(row["cost"] for row in totals["by_model"].values())
        assert (totals["total_calls"], len(totals["daily"])) == (306, 365)


async def test_a_key_gets_its_own_usage_only(tmp_path):
    async with books_and_desk(tmp_path) as (books, client):
        await books.ledger.book.book(list(attempts()))
        alice = {"x-tollway-key-id": "alice"}
        job = await made(client, {"type": "usage", "formats": ["json", "csv"]}, alice)
        files = await bodies(client, job)
        assert (files["json"]["total_calls"], files["json"]["key_id"]) == (301, "alice")
        assert list(files["json"]["by_key"]) == ["alice"]
        assert len(files["csv"].decode().splitlines()) == 302


async def test_events_booked_while_the_report_is_made_are_in_all_of_it_or_in_none(tmp_path):
    async with opened(tmp_path / "ledger") as books:
        ledger, told = usage_app.routes(books.ledger), []

        async def busy(scope, receive, send):
            if scope["path"].endswith("export_report"):
                told.append(scope["query_string"])
                if len(told) == 2:
                    await books.ledger.book.book([ended()])
            await ledger(scope, receive, send)

        await books.ledger.book.book([ended(), ended()])
        async with service(tmp_path, usage=busy) as client:
            job = await made(client, {"type": "usage", "formats": ["json", "csv"]})
            files = await bodies(client, job)
        assert job["warnings"] == []
        assert files["json"]["total_calls"] == len(files["csv"].decode().splitlines()) - 1 == 3
        assert len(told) == 4


async def test_while_usage_is_away_the_job_is_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr("services.reports.build.RETRY_SECONDS", (0,))

    async def away(scope, receive, send):
        await send({"type": "http.response.start", "status": 503, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async with service(tmp_path, usage=away) as client:
        job = await made(client, {"type": "usage"})
        assert (job["status"], job["error"]["code"], job["attempt"]) == ("failed", "usage_unavailable", 5)
