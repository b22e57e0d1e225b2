"""Prices can be added and a period priced again: dry first, then by signed corrections."""

import csv
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import text

from services.usage.reprice import closed_before
from services.usage.store import events as store
from services.usage.zone import months_before, zone_of
from shared import clock
from shared.wire.usage import TokenUsage
from tests.fakes.ledger import Books, ended, opened

PERIOD = {"from": "2020-01-01", "to": "2030-01-01"}


async def test_a_dry_run_changes_nothing_and_a_real_one_changes_it_once(books: Books) -> None:
    await books.ledger.book.book(
        [ended("mystery", 1000, 1000, key_id="k", session_id="s") for _ in range(3)] + [ended("qwen-max")]
    )
    before = await books.get("stats/daily")
    await books.post("prices", {"model": "mystery", "input": 0.1, "output": "0.2"})
    dry = await books.post("prices/reprice", PERIOD)
    assert (dry["dry_run"], dry["events"], dry["changed"], dry["delta"]) == (True, 4, 3, 0.9)
    assert dry["rows"] == [{"model": "mystery", "events": 3, "before": 0, "after": 0.9}]
    assert await books.get("stats/daily") == before
    wet = await books.post("prices/reprice", {**PERIOD, "dry_run": False})
    assert {**wet, "dry_run": True, "run_id": None} == dry
    after = await books.get("stats/daily")
    assert (after["total_cost"], after["unpriced_calls"]) == (0.982, 0)
    assert (await books.post("prices/reprice", {**PERIOD, "dry_run": False}))["changed"] == 0
    assert (await books.post("proof"))["ok"]
    priced = [event for event in (await books.get("events"))["events"] if event["model"] == "mystery"]
    assert {(event["cost"], event["currency"], event["unpriced"]) for event in priced} == {(0.3, "CNY", False)}
    assert (await books.get("stats/session/s"))["cost"] == 0.9


async def test_events_are_never_updated(books: Books) -> None:
    await books.ledger.book.book([ended("qwen-max", 1000, 0)])
    await books.post("prices", {"model": "qwen-max", "input": 1, "output": 1})
    await books.post("prices/reprice", {**PERIOD, "dry_run": False})
    async with books.resources.database.read() as connection:
        booked = (await connection.execute(text("SELECT cost_nano FROM usage_events"))).scalar_one()
        entries = (await connection.execute(text("SELECT nano FROM usage_corrections"))).scalars().all()
    assert (booked, list(entries)) == (20_000_000, [980_000_000])
    assert (await books.get("events"))["events"][0]["cost"] == 1


async def test_a_price_in_another_currency_takes_the_old_amount_back(tmp_path: Path) -> None:
    async with opened(tmp_path, {"usage": {"rates": {"USD": 7}}}) as books:
        await books.ledger.book.book([ended("qwen-max", 1000, 0)])
        await books.post("prices", {"model": "qwen-max", "input": 1, "output": 1, "currency": "USD"})
        for changed in (1, 0):
            assert (await books.post("prices/reprice", {**PERIOD, "dry_run": False}))["changed"] == changed
        (event,) = (await books.get("events"))["events"]
        assert (event["cost"], event["currency"]) == (1, "USD")
        assert (await books.get("stats/daily"))["total_cost"] == 7
        await books.post("prices", {"model": "qwen-max", "input": 2, "output": 2, "currency": "CNY"})
        await books.post("prices/reprice", {**PERIOD, "dry_run": False})
        (event,) = (await books.get("events"))["events"]
        assert (event["cost"], event["currency"]) == (2, "CNY")
        assert (await books.get("stats/daily"))["total_cost"] == 2
        assert (await books.post("proof"))["ok"]


async def test_only_the_model_and_period_asked_for_are_touched_and_given_costs_stand(books: Books) -> None:
    now = clock.now()
    await books.ledger.book.book(
        [
            ended("a", 1000, 0),
            ended("b", 1000, 0),
            ended("a", 1000, 0, at=now - 90 * 86_400),
            ended("a", 1000, 0, cost="5", currency="CNY"),
            ended("a", usage=TokenUsage(), status="error", error_msg="x"),
        ]
    )
    for model in ("a", "b"):
        await books.post("prices", {"model": model, "input": 1, "output": 1})
    zone = books.ledger.zone
    day = zone.today(now).isoformat()
    told = await books.post("prices/reprice", {"from": day, "to": day, "model": "a", "dry_run": False})
    assert (told["changed"], told["delta"]) == (1, 1)


async def test_many_events_of_one_moment_are_each_priced_once(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "CHUNK", 7)
    at = clock.now()
    await books.ledger.book.book([ended("mystery", 1000, 0, at=at) for _ in range(40)])
    await books.post("prices", {"model": "mystery", "input": 1, "output": 1})
    assert (await books.post("prices/reprice", {**PERIOD, "dry_run": False}))["changed"] == 40
    assert (await books.get("stats/daily"))["total_cost"] == 40


async def test_a_closed_month_stays_as_it_was_told_and_is_corrected_in_the_open_one(tmp_path: Path) -> None:
    async with opened(tmp_path, {"usage": {"rates": {"USD": 7}}}) as books:
        zone, now = books.ledger.zone, clock.now()
        old = zone.start_of(months_before(zone.today(now), 2)) + 86_400.0
        labels = {"key_id": "k", "user_id": "u", "session_id": "s", "function": "f"}
        dear, unpriced = ended("qwen-max", 1000, 0, at=old, **labels), ended("mystery", 1000, 0, at=old, **labels)
        await books.ledger.book.book([dear, unpriced, ended("qwen-max", 1000, 0, **labels)])
        then = {"year": zone.local(old).year, "month": zone.local(old).month}
        closed, this = await books.get("stats/monthly", **then), await books.get("stats/monthly")
        sessions = await books.get("sessions", days=90)
        await books.post("prices", {"model": "qwen-max", "input": "0.015", "output": 1})
        await books.post("prices", {"model": "mystery", "input": 1, "output": 1, "currency": "USD"})
        dry = await books.post("prices/reprice", PERIOD)
        wet = await books.post("prices/reprice", {**PERIOD, "dry_run": False})
        assert (dry["changed"], dry["of_closed_months"], dry["delta"]) == (3, 2, 6.99)
        assert dry["closed_before"] > zone.local(old).date().isoformat()
        assert {**wet, "dry_run": True, "run_id": None} == dry
        assert await books.get("stats/monthly", **then) == closed
        after = await books.get("stats/monthly")
        assert (after["total_calls"], after["total_tokens"]) == (this["total_calls"], this["total_tokens"])
        assert (this["total_cost"], after["total_cost"]) == (0.02, 7.01)
        assert after["by_model"]["mystery"] == {"calls": 0, "total_tokens": 0, "cost": 7}
        events = (await books.get("events"))["events"]
        entries = {(e["model"], e["request_id"], e["cost"], e["currency"]) for e in events if e["kind"] == "correction"}
        assert entries == {
            ("qwen-max", dear.request_id, -0.005, "CNY"),
            ("mystery", unpriced.request_id, 1, "USD"),
        }
        assert [e["cost"] for e in events if e["request_id"] == unpriced.request_id] == [1, None]
        assert (await books.get("stats/session/s")) == {"calls": 3, "tokens": 3000, "cost": 7.03}
        (seen,) = (await books.get("sessions", days=90))["sessions"]
        assert seen["last_at"] == sessions["sessions"][0]["last_at"]
        for days in (None, 3):
            assert (await books.post("proof", **({"days": days} if days else {})))["ok"]
        assert (await books.post("prices/reprice", {**PERIOD, "dry_run": False}))["changed"] == 0
        told = (await books.get("prices/corrections", run_id=wet["run_id"], limit=2))["corrections"]
        assert len(told) == 2
        told = (await books.get("prices/corrections"))["corrections"]
        assert {(row["model"], row["amount"], row["currency"]) for row in told} == {
            ("qwen-max", -0.005, "CNY"),
            ("mystery", 1, "USD"),
        }
        assert {row["counts_on"] for row in told} == {zone.today(now).isoformat()}
        made = await books.post("export_report", format="csv", days=365)
        rows = list(csv.DictReader((await books.client.get(made["download_url"])).text.splitlines()))
        assert sum(Decimal(r["cost"] or 0) * (7 if r["currency"] == "USD" else 1) for r in rows) == Decimal("7.03")


def test_a_month_is_closed_some_days_after_its_end() -> None:
    zone = zone_of("Asia/Shanghai")
    at = zone.start_of(date(2026, 11, 7)) + 86_399.0
    assert closed_before(zone, 7, at) == zone.start_of(date(2026, 10, 1))
    assert closed_before(zone, 7, at + 1) == zone.start_of(date(2026, 11, 1))
    assert closed_before(zone, 0, at) == zone.start_of(date(2026, 11, 1))


@pytest.mark.parametrize(
    "body",
    [
        {}, {"model": "m"}, {"model": "m", "input": -1, "output": 1}, {"model": "m", "input": "x", "output": 1},
        {"model": "", "input": 1, "output": 1}, {"model": "m", "input": "NaN", "output": 1}, {"model": "m", "input": 1e30, "output": 1},
        {"model": "m", "input": 1, "output": 1, "currency": "yuan"}, {"model": "m", "input": 1, "output": 1, "typo": 1},
        {"model": "m", "input": 1, "output": 1, "valid_from": "yesterday"},
    ],
)  # fmt: skip
async def test_senseless_prices_are_refused(books: Books, body: dict[str, object]) -> None:
    answer = await books.client.post("/api/ai_usage/prices", json=body)
    assert answer.status_code == 422, answer.text


async def test_prices_show_where_they_come_from_and_rates_can_be_added(tmp_path: Path) -> None:
    async with opened(
        tmp_path, {"usage": {"prices": {"my-model": {"input": 0.01, "output": 0.03, "display_name": "我的"}}}}
    ) as books:
        await books.ledger.book.book([ended("gpt-4o-mini"), ended("mystery")])
        body = await books.get("prices")
        rows = {row["model"]: row for row in body["prices"]}
        assert (rows["qwen-plus"]["input"], rows["qwen-plus"]["output"], rows["qwen-plus"]["source"]) == (
            0.0004,
            0.002,
            "built-in",
        )
        assert (rows["my-model"]["display_name"], rows["my-model"]["source"]) == ("我的", "config")
        assert (rows["gpt-4o-mini"]["input"], rows["gpt-4o-mini"]["currency"]) == (0.00015, "USD")
        assert [row["model"] for row in body["unpriced"]] == ["mystery"]
        assert body["per"] == 1000
        await books.post("rates", {"from": "USD", "to": "CNY", "rate": "7.5", "valid_from": "2026-01-01"})
        await books.ledger.book.book([ended("gpt-4o-mini", 1_000_000, 0, user_id="x")])
        assert (await books.get("breakdown", by="user"))["data"][0]["cost"] == 1.125


async def test_the_same_prices_are_not_sent_to_the_services_twice(books: Books) -> None:
    first = await books.client.get("/internal/prices")
    again = await books.client.get("/internal/prices", headers={"if-none-match": first.headers["etag"]})
    assert (first.status_code, again.status_code) == (200, 304)
    await books.post("prices", {"model": "m", "input": 1, "output": 1})
    assert (
        await books.client.get("/internal/prices", headers={"if-none-match": first.headers["etag"]})
    ).status_code == 200


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "model"),
        ({"model": "m", "input": 1}, "output"),
        ({"model": "m", "input": 1, "output": 1, "what": 1}, "what"),
    ],
)
async def test_a_price_that_is_not_whole_is_refused_with_the_field_named(
    books: Books, body: dict[str, object], param: str
) -> None:
    answer = await books.client.post("/api/ai_usage/prices", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, param)
