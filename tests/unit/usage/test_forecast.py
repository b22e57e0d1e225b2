"""Forecasts and advice."""

import math
import random
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.usage import forecast
from services.usage.advice import wilson
from services.usage.zone import last_of_month
from shared.money import NANO
from shared.wire.usage import TokenUsage
from tests.fakes.ledger import Books, ended

TODAY = date(2026, 11, 16)


def steady(days: int, cost: int, today: date = TODAY) -> dict[date, int]:
    return {today - timedelta(days=back): cost for back in range(1, days + 1)}


def test_a_steady_month_is_forecast_exactly() -> None:
    told = forecast.month(steady(60, NANO), TODAY, 0.0, None)
    assert told["enough_data"] is False, "the ledger's first day is not known here"
    told = forecast.month(steady(60, NANO), TODAY, 0.0, TODAY - timedelta(days=60))
    assert (told["actual"], told["mid"], told["low"], told["high"]) == (15, 30, 30, 30)
    assert told["enough_data"] is True
    assert [day["date"] for day in told["days"]] == [f"2026-11-{day}" for day in range(16, 31)]


def test_weekends_that_cost_nothing_are_expected_to_cost_little() -> None:
    costs = {day: 0 if day.weekday() >= 5 else NANO for day in steady(56, 0)}
    model = forecast.fit(costs, TODAY - timedelta(days=56), TODAY - timedelta(days=1))
    assert model.day(date(2026, 11, 21)) < 0.5 * model.day(date(2026, 11, 20))


def test_little_history_gives_a_wide_range_and_says_so() -> None:
    told = forecast.month(steady(3, NANO), TODAY, 0.5, TODAY - timedelta(days=3))
    assert told["enough_data"] is False
    assert told["low"] < told["mid"] < told["high"]


def test_an_empty_ledger_is_forecast_to_cost_nothing() -> None:
    told = forecast.month({}, TODAY, 0.5, None)
    assert (told["actual"], told["mid"], told["high"]) == (0, 0, 0)
    assert forecast.scoreboard({}, TODAY, None) == {"history": [], "mape": None, "coverage": None}


def test_the_range_covers_most_held_out_months() -> None:
    generator = random.Random(7)
    inside = trials = 0
    for trial in range(150):
        today = date(2026, 3, 10) + timedelta(days=4 * (trial % 60))
        trend = generator.uniform(-0.002, 0.004)
        scale = generator.uniform(1, 100)
        costs = {
            today + timedelta(days=offset): round(
                NANO
                * scale
                * math.exp(generator.gauss(0, generator.choice([0.1, 0.3, 0.5])) + trend * offset)
                * (0.4 if (today + timedelta(days=offset)).weekday() >= 5 else 1)
            )
            for offset in range(-80, 32)
        }
        known = {day: cost for day, cost in costs.items() if day < today}
        told = forecast.month(known, today, 0.0, today - timedelta(days=80))
        end = last_of_month(today)
        actual = sum(cost for day, cost in costs.items() if today.replace(day=1) <= day <= end)
        trials += 1
        inside += told["low"] <= Decimal(actual) / NANO <= told["high"]
    assert 0.7 <= inside / trials <= 0.9


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=40), st.floats(0, 1))
def test_a_quantile_lies_between_the_least_and_the_most(values: list[float], share: float) -> None:
    found = forecast.quantile(values, share)
    assert min(values) <= found * (1 + 1e-9) + 1e-9
    assert found <= max(values) * (1 + 1e-9) + 1e-9


@pytest.mark.parametrize(
    ("value", "past", "expected"),
    [
        (100, [1, 1, 1, 1], True),
        (1.5, [1, 1, 1, 1], False),
        (100, [], False),
        (0.5, [0, 0, 0, 0], False),
        (100, [90, 95, 105], False),
    ],
)
def test_an_anomaly_is_far_above_its_like_and_worth_the_noise(
    value: float, past: list[float], *, expected: bool
) -> None:
    assert forecast.anomaly(value, past, 1.0) is expected


def test_few_calls_prove_little() -> None:
    assert wilson(30, 30)[0] < 0.93 < wilson(1000, 1000)[0]


async def test_a_cheaper_model_is_advised_only_where_it_succeeds_as_often(books: Books) -> None:
    await books.ledger.book.book(
        [ended("gpt-4", function="sum") for _ in range(40)]
        + [ended("qwen-plus", function="sum") for _ in range(200)]
        + [ended("gpt-4", function="code") for _ in range(40)]
        + [ended("qwen-plus", function="code", status="error" if number % 4 == 0 else "ok") for number in range(200)]
    )
    advice = (await books.get("advice"))["advice"]
    cheaper = [item for item in advice if item["kind"] == "cheaper_model"]
    assert [item["title"] for item in cheaper] == ["Use qwen-plus instead of gpt-4 for function 'sum'"]
    assert cheaper[0]["saving"] == round(40 * (0.714 - 0.0022), 9)
    assert cheaper[0]["sample_size"] == 40
    assert all(item["method"] and item["low"] <= item["saving"] <= item["high"] for item in advice)


async def test_input_that_could_come_from_a_cache_is_advised_with_its_range(books: Books) -> None:
    await books.post("prices", {"model": "m", "input": 1, "output": 1, "cache_read": "0.1"})
    fresh, cached = TokenUsage(2000, 10, 0), TokenUsage(2000, 10, 1000)
    await books.ledger.book.book([ended("m", usage=fresh) for _ in range(40)])
    body = await books.get("advice")
    (told,) = body["advice"]
    assert (told["kind"], told["sample_size"], told["facts"]["cache_share"]) == ("cacheable_input", 40, 0)
    assert (told["saving"], told["low"], told["high"], told["currency"]) == (36, 14.4, 57.6, "CNY")
    assert told["method"]
    assert set(body) == {"advice", "currency"}, "savings overlap: nothing adds them up"
    await books.ledger.book.book([ended("m", usage=cached) for _ in range(40)])
    assert (await books.get("advice"))["advice"] == []


async def test_waste_is_told_with_its_method(books: Books) -> None:
    await books.ledger.book.book([ended("qwen-max", status="aborted") for _ in range(40)])
    (waste,) = [item for item in (await books.get("advice"))["advice"] if item["kind"] == "waste"]
    assert waste["high"] == 3.28


async def test_the_forecast_has_the_pages_shape(books: Books) -> None:
    await books.ledger.book.book([ended("qwen-max")])
    told = await books.get("forecast")
    for name in (
        "month",
        "actual",
        "mid",
        "low",
        "high",
        "currency",
        "method",
        "enough_data",
        "history",
        "mape",
        "coverage",
        "days",
    ):
        assert name in told
    assert told["actual"] == 0.082
    assert told["low"] <= told["mid"] <= told["high"]
