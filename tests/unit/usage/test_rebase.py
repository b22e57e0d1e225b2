"""Another reporting currency or zone: everything is counted again, and what events cost stays as it was."""

from pathlib import Path
from typing import Any

from services.usage.rebase import Rebase
from shared import clock
from shared.config.schema import Config
from tests.fakes.ledger import Books, ended, opened


def put(books: Books, **usage: Any) -> None:
    books.resources.config.replace(Config.model_validate({"usage": usage}))


async def test_another_currency_counts_everything_again(tmp_path: Path) -> None:
    async with opened(tmp_path, {"usage": {"rates": {"USD": 8}}}) as books:
        rebase = Rebase(books.ledger)
        assert not await rebase.look()
        now = clock.now()
        await books.ledger.book.book(
            [ended("qwen-max", 1000, 0, session_id="s", key_id="k", at=now - 86_400 * back) for back in range(3)]
            + [ended("mine", 1000, 0, cost="1", currency="USD", session_id="s")]
        )
        await books.post("prices", {"model": "qwen-max", "input": "0.04", "output": 1})
        await books.post("prices/reprice", {"from": "2020-01-01", "to": "2030-01-01", "dry_run": False})
        assert (await books.get("stats/session/s"))["cost"] == 8.12
        put(books, currency="USD", rates={"CNY": 0.125})
        assert await rebase.look()
        assert not await rebase.look()
        assert (await books.get("stats/session/s"))["cost"] == 1.015
        assert (await books.get("stats/daily", days_ago=1))["total_cost"] == 0.005
        assert (await books.get("stats/daily"))["total_cost"] == 1.005
        costs = {(event["cost"], event["currency"]) for event in (await books.get("events"))["events"]}
        assert costs == {(0.04, "CNY"), (1, "USD")}
        assert (await books.post("proof"))["ok"]


async def test_a_zone_off_the_full_hour_gets_buckets_of_its_own(books: Books) -> None:
    rebase = Rebase(books.ledger)
    await rebase.look()
    await books.ledger.book.book([ended(at=clock.now() - 1000 * step, session_id="s") for step in range(150)])
    put(books, timezone="Europe/Berlin")
    assert not await rebase.look(), "whole hours stay the same instants"
    put(books, timezone="Asia/Kathmandu")
    assert await rebase.look()
    assert (await books.post("proof"))["ok"]
    days = [await books.get("stats/daily", days_ago=back) for back in range(4)]
    assert sum(day["total_calls"] for day in days) == 150
    zone = books.ledger.zone
    for back, day in enumerate(days):
        span = zone.day(zone.today(clock.now() - back * 86_400))
        events = (await books.get("events", limit=1000))["events"]
        assert day["total_calls"] == sum(span.start <= event["timestamp"] < span.end for event in events)
    assert (await books.get("stats/session/s"))["calls"] == 150
