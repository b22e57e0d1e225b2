"""Alerts: once per limit, name, period and threshold; told, and taken back."""

import base64
import hashlib
import hmac
from pathlib import Path
from typing import Any

from sqlalchemy import select

from services.usage import anomalies
from services.usage.tables import outbox
from services.usage.webhooks import signed
from shared import clock
from shared.config.schema import Config
from tests.fakes.ledger import Books, ended, opened

HOOK = "http://127.0.0.1:1/hook"


def limits(*alerts: dict[str, Any]) -> dict[str, Any]:
    return {"usage": {"alerts": list(alerts)}}


async def notices(books: Books) -> list[Any]:
    async with books.resources.database.read() as connection:
        return list((await connection.execute(select(outbox).order_by(outbox.c.id))).all())


async def test_each_threshold_is_told_once_however_often_it_is_crossed(tmp_path: Path) -> None:
    async with opened(tmp_path, limits({"name": "daily", "limit": 0.2, "webhook": HOOK})) as books:
        for _ in range(6):
            await books.ledger.book.book([ended("qwen-max")])
        alerts = (await books.get("alerts"))["alerts"]
        assert [(alert["budget"], alert["threshold"], alert["state"]) for alert in alerts] == [
            ("daily", 100, "firing"),
            ("daily", 80, "firing"),
        ]
        assert alerts[1]["spent"] == 0.164
        assert len(await notices(books)) == 2
        (budget,) = (await books.get("budgets"))["budgets"]
        assert (budget["spent"], budget["used"], budget["state"], budget["next_threshold"]) == (
            0.492,
            246,
            "exceeded",
            None,
        )


async def test_limits_are_kept_per_name(tmp_path: Path) -> None:
    config = limits(
        {"name": "each user", "limit": 0.1, "by": "user", "period": "month"},
        {"name": "one model", "limit": 0.1, "by": "model", "match": "qwen-max"},
    )
    async with opened(tmp_path, config) as books:
        await books.ledger.book.book([ended("gpt-4", user_id="a"), ended("qwen-max", user_id="b"), ended("gpt-4")])
        alerts = (await books.get("alerts"))["alerts"]
        assert {(alert["budget"], alert["name"], alert["threshold"]) for alert in alerts} == {
            ("each user", "a", 80),
            ("each user", "a", 100),
            ("each user", "b", 80),
            ("one model", "qwen-max", 80),
        }


async def test_yesterdays_spending_is_not_todays_alert(tmp_path: Path) -> None:
    async with opened(tmp_path, limits({"name": "daily", "limit": 0.01})) as books:
        await books.ledger.book.book([ended("qwen-max", at=clock.now() - 2 * 86_400)])
        assert (await books.get("alerts"))["alerts"] == []


async def test_an_alert_is_taken_back_when_the_limit_is_raised(tmp_path: Path) -> None:
    async with opened(tmp_path, limits({"name": "daily", "limit": 0.05, "webhook": HOOK})) as books:
        await books.ledger.book.book([ended("qwen-max")])
        books.resources.config.replace(Config.model_validate(limits({"name": "daily", "limit": 5, "webhook": HOOK})))
        await books.ledger.alerts.settle()
        await books.ledger.alerts.settle()
        assert {alert["state"] for alert in (await books.get("alerts"))["alerts"]} == {"resolved"}
        assert [("resolved" in row.body, row.budget) for row in await notices(books)] == [
            (False, "daily"),
            (False, "daily"),
            (True, "daily"),
            (True, "daily"),
        ]


async def test_a_lowered_limit_and_a_correction_raise_what_they_make_due(tmp_path: Path) -> None:
    async with opened(tmp_path, limits({"name": "daily", "limit": 5})) as books:
        await books.ledger.book.book([ended("qwen-max"), ended("mystery", 1000, 0)])
        books.resources.config.replace(Config.model_validate(limits({"name": "daily", "limit": 0.1})))
        await books.ledger.alerts.settle()
        thresholds = [
            alert["threshold"] for alert in (await books.get("alerts"))["alerts"] if alert["kind"] == "budget"
        ]
        assert thresholds == [80]
        await books.post("prices", {"model": "mystery", "input": 1, "output": 1})
        await books.post("prices/reprice", {"from": "2020-01-01", "to": "2030-01-01", "dry_run": False})
        await books.ledger.alerts.settle()
        thresholds = [
            alert["threshold"] for alert in (await books.get("alerts"))["alerts"] if alert["kind"] == "budget"
        ]
        assert thresholds == [100, 80]


async def test_a_model_without_a_price_is_told_once_a_day_until_it_has_one(books: Books) -> None:
    for _ in range(3):
        await books.ledger.book.book([ended("mystery")])
    (alert,) = (await books.get("alerts"))["alerts"]
    assert (alert["kind"], alert["name"], alert["state"]) == ("unpriced", "mystery", "firing")
    await books.post("prices", {"model": "mystery", "input": 1, "output": 1})
    await books.ledger.alerts.settle()
    assert (await books.get("alerts"))["alerts"][0]["state"] == "resolved"


async def test_an_hour_far_above_its_like_is_an_anomaly_once(books: Books) -> None:
    now = clock.now()
    quiet = [ended("qwen-max", 50_000, 0, at=now - 3600 - week * 7 * 86_400) for week in range(1, 6)]
    await books.ledger.book.book(quiet)
    assert not await anomalies.look(books.ledger)
    await books.ledger.book.book([ended("qwen-max", 1_000_000, 0, at=now - 3600)])
    assert await anomalies.look(books.ledger)
    assert not await anomalies.look(books.ledger)
    assert (await books.get("alerts"))["alerts"][0]["kind"] == "anomaly"


async def test_an_hour_without_calls_where_there_always_were_some_is_told_until_they_come_again(books: Books) -> None:
    now = clock.now()
    busy = [ended(at=now - 3600 - week * 7 * 86_400) for week in range(1, 4) for _ in range(20)]
    await books.ledger.book.book(busy[1:])
    assert not await anomalies.look(books.ledger), "nineteen calls are too few to miss"
    await books.ledger.book.book(busy)
    assert await anomalies.look(books.ledger)
    assert not await anomalies.look(books.ledger)
    (alert,) = (await books.get("alerts"))["alerts"]
    assert (alert["kind"], alert["state"]) == ("silence", "firing")
    assert alert["text"].startswith("No call in the hour from ")
    await books.ledger.alerts.settle()
    assert (await books.get("alerts"))["alerts"][0]["state"] == "firing"
    await books.ledger.book.book([ended(at=now)])
    await books.ledger.alerts.settle()
    assert (await books.get("alerts"))["alerts"][0]["state"] == "resolved"


def test_notices_are_signed_as_the_standard_says() -> None:
    key = b"0123456789abcdef0123456789abcdef"
    secret = "whsec_" + base64.b64encode(key).decode()
    headers = signed("msg_1", 1_790_000_000, '{"a":1}', secret)
    expected = base64.b64encode(hmac.new(key, b'msg_1.1790000000.{"a":1}', hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("msg_1", "1790000000")
    assert "webhook-signature" not in signed("msg_1", 1, "{}", None)
