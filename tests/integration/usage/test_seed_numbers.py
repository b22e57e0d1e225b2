"""The worked examples of the seed's usage document give the seed's numbers, on either database.

Where the document's figures do not follow from its price table, the records tell their cost, as its own record does.
"""

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from shared import clock
from tests.fakes.ledger import Books, opened


@pytest.fixture
async def on_sqlite(tmp_path: Path) -> AsyncIterator[Books]:
    async with opened(tmp_path) as found:
        yield found


@pytest.fixture
async def on_postgres(tmp_path: Path, postgres_url: str) -> AsyncIterator[Books]:
    async with opened(tmp_path, url=postgres_url) as found:
        yield found


@pytest.fixture(params=["on_sqlite", "on_postgres"])
def books(request: pytest.FixtureRequest) -> Books:
    found: Books = request.getfixturevalue(request.param)
    return found


async def record(
    books: Books, calls: int, model: str, tokens: tuple[int, int], cost: str | None = None, **more: Any
) -> None:
    """That many equal calls; a cost is that of all of them together."""
    body: dict[str, Any] = {
        "model": model,
        "input_tokens": tokens[0],
        "output_tokens": tokens[1],
        "success": True,
        **more,
    }
    costs: list[dict[str, Any]] = [{} for _ in range(calls)]
    if cost is not None:
        nano = int(Decimal(cost).scaleb(9))
        costs = [{"cost": str(Decimal(nano // calls + (number < nano % calls)).scaleb(-9))} for number in range(calls)]
    await books.post("record", [{**body, **each} for each in costs])


async def test_the_current_hour(books: Books) -> None:
    await record(books, 36, "qwen-max", (2000, 700), "2.94")
    told = await books.get("stats/current")
    assert told["current_hour"] == {"calls": 36, "tokens": 97_200, "cost": 2.94, "success_rate": 100}


async def test_the_day_of_360_calls_with_a_model_among_others(books: Books) -> None:
    await record(books, 300, "qwen-plus", (2000, 700), "6.48")
    await record(books, 60, "qwen-max", (2000, 700), "23.04")
    told = await books.get("stats/daily", days_ago=0)
    assert (told["period"], told["total_calls"], told["total_tokens"], told["total_cost"]) == (
        "daily",
        360,
        972_000,
        29.52,
    )
    assert told["by_model"]["qwen-plus"] == {"calls": 300, "total_tokens": 810_000, "cost": 6.48}


async def test_the_top_user_and_the_cost_trend(books: Books) -> None:
    await record(books, 120, "qwen-max", (2000, 700), "9.72", user_id="user_001")
    assert await books.get("top_users", limit=10, days=7) == {
        "period_days": 7,
        "top_users": [{"user_id": "user_001", "calls": 120, "tokens": 324_000, "cost": 9.72}],
    }
    day = 86_400
    await record(books, 1, "qwen-max", (1, 1), "25.50", timestamp=clock.now() - 2 * day)
    await record(books, 1, "qwen-max", (1, 1), "28.30", timestamp=clock.now() - day)
    trend = await books.get("cost_trend", days=30)
    assert (trend["period_days"], len(trend["data"])) == (30, 30)
    assert [row["cost"] for row in trend["data"]][-4:] == [0, 25.5, 28.3, 9.72]


async def test_case_1_six_hours_of_a_broadcast_cost_36_60_by_the_price_table_alone(books: Books) -> None:
    await record(books, 360, "qwen-max", (2000, 700))
    await record(books, 120, "qwen-max", (1000, 300))
    await record(books, 60, "qwen-max", (900, 400))
    told = await books.get("stats/daily")
    assert (told["total_calls"], told["total_tokens"], told["total_cost"]) == (540, 1_206_000, 36.6)


async def test_case_2_the_month_by_seven_days(books: Books) -> None:
    for back in range(7):
        await record(books, 10, "qwen-max", (2000, 700), timestamp=clock.now() - back * 86_400)
    trend = (await books.get("cost_trend", days=7))["data"]
    average = sum(day["cost"] for day in trend) / 7
    assert (round(average, 2), round(average * 30, 2)) == (0.82, 24.6)


async def test_case_3_what_a_call_costs_by_model(books: Books) -> None:
    await record(books, 10, "qwen-plus", (2000, 3700))
    await record(books, 10, "qwen-turbo", (2000, 5800), "0.041")
    today = (await books.get("stats/daily"))["by_model"]
    each = {model: f"¥{stats['cost'] / stats['calls']:.4f}" for model, stats in today.items()}
    assert each == {"qwen-plus": "¥0.0082", "qwen-turbo": "¥0.0041"}


async def test_the_record_comes_back_field_by_field(books: Books) -> None:
    told = {
        "timestamp": 1730001234.56, "user_id": "user_001", "anchor_id": "anchor_123", "session_id": "session_456",
        "model": "qwen-plus", "function": "实时分析", "input_tokens": 2000, "output_tokens": 700, "total_tokens": 2700,
        "cost": 0.0164, "duration_ms": 1234.5, "success": True, "error_msg": None,
    }  # fmt: skip
    await books.post("record", told)
    (event,) = (await books.get("events"))["events"]
    assert {name: event[name] for name in told} == told
    assert await books.get("stats/session/session_456") == {"calls": 1, "tokens": 2700, "cost": 0.0164}


async def test_the_custom_price_and_its_name(books: Books) -> None:
    price = {"model": "my-model", "input": 0.01, "output": 0.03, "display_name": "我的自定义模型"}
    await books.post("prices", price)
    await record(books, 1, "my-model", (1000, 1000))
    assert (await books.get("stats/daily"))["total_cost"] == 0.04
    (shown,) = [row for row in (await books.get("prices"))["prices"] if row["model"] == "my-model"]
    assert {name: shown[name] for name in price} == price
