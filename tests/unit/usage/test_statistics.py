"""The seed's statistics in the seed's shapes, with the seed's numbers."""

import re
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from services.usage.upkeep import Upkeep
from services.usage.zone import zone_of
from shared import clock
from shared.wire.usage import TokenUsage
from tests.fakes.ledger import Books, ended, opened

SHANGHAI = zone_of("Asia/Shanghai")


async def test_the_seeds_day_of_360_calls_costs_what_the_seed_says(books: Books) -> None:
    await books.ledger.book.book(
        [ended("qwen-max", 2000, 700, user_id="user_001", function="实时分析") for _ in range(360)]
    )
    current = await books.get("stats/current")
    assert current["today"] == {
        "calls": 360,
        "tokens": 972_000,
        "cost": 29.52,
        "by_model": {"qwen-max": {"calls": 360, "total_tokens": 972_000, "cost": 29.52}},
        "by_function": {"实时分析": {"calls": 360, "total_tokens": 972_000, "cost": 29.52}},
    }
    assert set(current) == {"current_hour", "today"}
    assert set(current["current_hour"]) == {"calls", "tokens", "cost", "success_rate"}
    assert current["current_hour"]["success_rate"] == 100
    users = (await books.get("top_users", limit=10, days=7))["top_users"]
    assert users == [{"user_id": "user_001", "calls": 360, "tokens": 972_000, "cost": 29.52}]


async def test_the_seeds_record_costs_what_it_says_it_cost(books: Books) -> None:
    record = {
        "timestamp": 1730001234.56, "user_id": "user_001", "anchor_id": "anchor_123", "session_id": "session_456",
        "model": "qwen-plus", "function": "实时分析", "input_tokens": 2000, "output_tokens": 700,
        "total_tokens": 2700, "cost": 0.0164, "duration_ms": 1234.5, "success": True, "error_msg": None,
    }  # fmt: skip
    await books.post("record", record)
    (event,) = (await books.get("events"))["events"]
    assert {name: event[name] for name in record} == record
    october = await books.get("stats/monthly", year=2024, month=10)
    assert (october["period"], october["total_calls"], october["total_cost"]) == ("monthly", 1, 0.0164)


@pytest.mark.parametrize(
    ("model", "cost"),
    [("qwen-plus", 0.0022), ("qwen-turbo", 0.00102), ("qwen-max", 0.082), ("gpt-4", 0.714), ("gpt-3.5-turbo", 0.0119)],
)
async def test_the_built_in_prices_follow_the_seeds_formula(books: Books, model: str, cost: float) -> None:
    await books.ledger.book.book([ended(model, 2000, 700, session_id="s")])
    assert await books.get("stats/session/s") == {"calls": 1, "tokens": 2700, "cost": cost}


async def test_nothing_booked_is_zeros_everywhere(books: Books) -> None:
    assert await books.get("stats/session/unknown") == {"calls": 0, "tokens": 0, "cost": 0}
    assert (await books.get("stats/current"))["today"]["by_model"] == {}
    assert [row["cost"] for row in (await books.get("cost_trend", days=3))["data"]] == [0, 0, 0]
    assert (await books.get("dashboard"))["empty"] is True
    assert (await books.get("events")) == {"events": [], "next_cursor": None}


async def test_the_cost_trend_has_a_row_for_every_day_of_the_reporting_zone(books: Books) -> None:
    now = clock.now()
    midnight = SHANGHAI.start_of(SHANGHAI.today(now))
    await books.ledger.book.book(
        [
            ended("qwen-max", at=midnight + 1),
            ended("qwen-max", at=midnight - 1),
            ended("qwen-max", at=midnight - 86_401),
        ]
    )
    trend = await books.get("cost_trend", days=30)
    assert trend["period_days"] == 30
    assert [row["date"] for row in trend["data"]] == [
        (SHANGHAI.today(now) - timedelta(days=back)).isoformat() for back in range(29, -1, -1)
    ]
    assert [row["cost"] for row in trend["data"][-4:]] == [0, 0.082, 0.082, 0.082]


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/New_York", "Pacific/Chatham", "UTC"])
async def test_days_add_up_to_the_range_in_any_zone(tmp_path: Any, zone: str) -> None:
    async with opened(tmp_path, {"usage": {"timezone": zone}}) as books:
        now = clock.now()
        await books.ledger.book.book([ended("qwen-max", user_id="u", at=now - 1300 * step) for step in range(200)])
        trend = await books.get("cost_trend", days=10)
        (user,) = (await books.get("top_users", days=10))["top_users"]
        assert user["calls"] == 200
        assert round(sum(row["cost"] for row in trend["data"]), 9) == user["cost"] == 16.4
        days = [await books.get("stats/daily", days_ago=back) for back in range(10)]
        assert sum(day["total_calls"] for day in days) == 200


async def test_late_events_land_where_they_belong(books: Books) -> None:
    now = clock.now()
    await books.ledger.book.book([ended(at=now - 3 * 86_400)])
    assert (await books.get("stats/daily", days_ago=3))["total_calls"] == 1
    assert (await books.get("stats/daily"))["total_calls"] == 0
    assert (await books.get("stats/hourly", hours_ago=72))["total_calls"] == 1


async def test_costs_in_another_currency_are_told_as_they_are_and_counted_converted(tmp_path: Any) -> None:
    section = {"rates": {"USD": 7}, "prices": {"mine": {"input": 0.01, "output": 0.03, "currency": "USD"}}}
    async with opened(tmp_path, {"usage": section}) as books:
        await books.ledger.book.book([ended("mine", 1000, 1000), ended("qwen-max", 1000, 0)])
        events = {event["model"]: event for event in (await books.get("events"))["events"]}
        assert (events["mine"]["cost"], events["mine"]["currency"]) == (0.04, "USD")
        assert (events["qwen-max"]["cost"], events["qwen-max"]["currency"]) == (0.02, "CNY")
        assert (await books.get("stats/daily"))["total_cost"] == 0.3


async def test_a_price_is_looked_up_by_the_answering_name_and_then_by_the_one_asked_for(books: Books) -> None:
    await books.ledger.book.book(
        [
            ended("qwen-max", 1000, 0, requested_model="qwen-plus"),
            ended("mystery", 1000, 0, requested_model="qwen-plus"),
        ]
    )
    costs = {event["model"]: event["cost"] for event in (await books.get("events"))["events"]}
    assert costs == {"qwen-max": 0.02, "mystery": 0.0004}


async def test_attempts_of_one_request_are_calls_but_one_request(books: Books) -> None:
    tries = [ended("qwen-max", attempt=number, request_id="req_1") for number in (1, 2, 3)]
    await books.ledger.book.book([*tries, ended("qwen-max", request_id="req_2")])
    told = await books.get("stats/daily")
    assert (told["total_calls"], told["requests"]) == (4, 2)
    assert len((await books.get("events", request_id="req_1"))["events"]) == 3


async def test_unknown_is_null_and_zero_is_zero(books: Books) -> None:
    await books.ledger.book.book(
        [
            ended("nobody-knows", 5, 5),
            ended("qwen-plus", usage=TokenUsage(), status="error", error_msg="refused"),
            ended("qwen-plus", 0, 0),
        ]
    )
    unknown, refused, zero = sorted((await books.get("events"))["events"], key=lambda event: event["event_id"])
    assert (unknown["cost"], unknown["currency"], unknown["unpriced"]) == (None, None, True)
    assert (refused["cost"], refused["unpriced"], refused["input_tokens"], refused["total_tokens"]) == (
        None,
        False,
        None,
        None,
    )
    assert (zero["cost"], zero["unpriced"], zero["total_tokens"], zero["cache_read_tokens"]) == (0, False, 0, None)
    daily = await books.get("stats/daily")
    assert (daily["unpriced_calls"], daily["success_rate"]) == (1, 66.67)
    assert (await books.get("health"))["unpriced"] == 1


async def test_events_are_paged_newest_first_without_loss_or_repetition(books: Books) -> None:
    now = clock.now()
    sent = [ended(at=now - number // 3, session_id="s", request_id=f"r{number % 2}") for number in range(25)]
    await books.ledger.book.book(sent)
    seen: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = await books.get("events", limit=4, **({"cursor": cursor} if cursor else {}))
        seen += page["events"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert sorted(event["event_id"] for event in seen) == sorted(event.event_id for event in sent)
    assert [event["timestamp"] for event in seen] == sorted((event["timestamp"] for event in seen), reverse=True)
    assert len((await books.get("events", request_id="r1"))["events"]) == 12
    assert len((await books.get("events", session_id="other"))["events"]) == 0


async def test_an_event_has_the_contracts_fields(books: Books) -> None:
    await books.ledger.book.book([ended()])
    (event,) = (await books.get("events"))["events"]
    promised = [
        "event_id",
        "request_id",
        "attempt",
        "timestamp",
        "kind",
        "key_id",
        "user_id",
        "session_id",
        "anchor_id",
        "function",
        "provider",
        "model",
        "requested_model",
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "reasoning_tokens",
        "cost",
        "currency",
        "unpriced",
        "usage_source",
        "duration_ms",
        "ttft_ms",
        "success",
        "status",
        "error_msg",
    ]
    assert set(event) == {*promised, "time"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+08:00", event["time"])


@pytest.mark.parametrize(
    "path",
    [
        "top_users?limit=0", "top_users?limit=101", "top_users?days=0", "top_users?days=91", "top_users?days=x",
        "cost_trend?days=0", "cost_trend?days=100000", "stats/daily?days_ago=-1", "stats/hourly?hours_ago=-1",
        "stats/monthly?month=13", "stats/monthly?year=0", "breakdown?by=nothing", "breakdown?days=0", "events?limit=0",
        "dashboard?days=0", "dashboard?days=500", "explore?measure=x", "explore?by=x", "explore?from=2026-01-02&to=2026-01-01",
        "explore?from=2026-13-01", "stats/daily?days_ago=99999999999999999999", "events?limit=1e9", "explore?top=0",
        "explore?from=2020-01-01&to=2026-01-01", "sessions?days=0", "explore?bucket=hour&from=2026-01-01&to=2026-03-01",
    ],
)  # fmt: skip
async def test_parameters_out_of_range_are_422_and_named(books: Books, path: str) -> None:
    answer = await books.client.get(f"/api/ai_usage/{path}")
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]["param"]


@pytest.mark.parametrize("cursor", ["x", "%00", "AAAA", "MTIz", "é"])
async def test_a_cursor_that_was_never_given_out_is_400(books: Books, cursor: str) -> None:
    answer = await books.client.get("/api/ai_usage/events", params={"cursor": cursor})
    assert answer.status_code == 400


async def test_breakdowns_are_dearest_first_and_name_the_unknown_null(books: Books) -> None:
    await books.ledger.book.book(
        [ended("qwen-plus", user_id="a"), ended("qwen-max"), ended("qwen-plus", user_id="b", status="error")]
    )
    body = await books.get("breakdown", by="user", days=1)
    assert (body["by"], body["period_days"]) == ("user", 1)
    assert [row["name"] for row in body["data"]] == [None, "a", "b"]
    assert body["data"][2] == {"name": "b", "calls": 1, "tokens": 2700, "cost": 0.0022, "success_rate": 0}
    for by in ("model", "function", "user", "key", "anchor", "provider"):
        rows = (await books.get("breakdown", by=by))["data"]
        assert sum(row["calls"] for row in rows) == 3


async def test_the_month_before_and_a_future_one_have_the_daily_shape(books: Books) -> None:
    daily, monthly = await books.get("stats/daily"), await books.get("stats/monthly", year=2027, month=1)
    assert set(daily) <= set(monthly) | {"period"}
    assert (monthly["date"], monthly["total_calls"]) == ("2027-01", 0)


async def test_names_may_hold_anything_but_nul(books: Books) -> None:
    name = "a/b c?d=e&f#用户%41'\"\\"
    await books.ledger.book.book([ended(session_id=name, user_id=name)])
    quoted = quote(name, safe="")
    assert (await books.get(f"stats/session/{quoted}"))["calls"] == 1
    assert len((await books.get(f"session/{quoted}/timeline"))["events"]) == 1
    assert len((await books.get("events", session_id=name))["events"]) == 1
    for path in ("stats/session/%00", "events?session_id=%00", "dashboard?model=%00", "session/%00/timeline"):
        assert (await books.client.get(f"/api/ai_usage/{path}")).status_code == 400


async def test_forgotten_events_leave_their_sums_and_a_proof_of_the_rest(tmp_path: Any) -> None:
    async with opened(tmp_path, {"usage": {"event_days": 30}}) as books:
        now = clock.now()
        await books.ledger.book.book([ended("qwen-max", at=now - 86_400 * 9 * back) for back in range(10)])
        await Upkeep(books.ledger)._partitions_once()
        assert len((await books.get("events"))["events"]) == 4
        assert sum(row["cost"] for row in (await books.get("cost_trend", days=100))["data"]) == pytest.approx(0.82)
        proof = await books.post("proof", repair="true")
        assert (proof["ok"], proof["events"]) == (True, 4)
        assert sum(row["cost"] for row in (await books.get("cost_trend", days=100))["data"]) == pytest.approx(0.82)
