"""The dashboard's questions: figures that agree with each other, and never a look at the events themselves."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import event as sqlalchemy_event

from services.usage.routes import page
from shared import clock
from shared.wire.usage import TokenUsage
from tests.fakes.ledger import Books, ended, opened

SCREEN = (
    "dashboard", "dashboard?days=1", "dashboard?days=90", "dashboard?model=qwen-max", "dashboard?key=k1",
    "explore", "explore?by=user&compare=true", "explore?measure=latency_p95_ms&by=model", "explore?bucket=hour&days=1",
    "explore?measure=tool_calls&by=none", "stats/current", "stats/daily", "stats/hourly", "stats/monthly",
    "stats/session/s1", "top_users", "cost_trend", "breakdown?by=function", "sessions", "forecast", "advice",
    "budgets", "alerts", "health", "prices",
)  # fmt: skip


async def fill(books: Books) -> None:
    now = clock.now()
    await books.ledger.book.book(
        [
            ended(
                ("qwen-max", "qwen-plus", "gpt-4o-mini")[number % 3],
                1000 + number,
                100,
                at=now - number * 4000,
                user_id=f"u{number % 4}",
                key_id=f"k{number % 2}",
                session_id=f"s{number % 5}",
                function=f"f{number % 2}",
                anchor_id="a",
                status="error" if number % 10 == 0 else "ok",
                duration_ms=100.0 * (number + 1),
            )
            for number in range(120)
        ]
        + [ended("srv__tool", kind="tool", provider="srv", usage=TokenUsage(), duration_ms=50.0) for _ in range(3)]
    )


@contextmanager
def statements(books: Books) -> Iterator[list[str]]:
    """What the database is asked meanwhile."""
    seen: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        seen.append(statement)

    engine = books.resources.database.engine.sync_engine
    sqlalchemy_event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        sqlalchemy_event.remove(engine, "before_cursor_execute", note)


async def test_no_screen_of_the_dashboard_reads_the_events(books: Books) -> None:
    await fill(books)
    for path in SCREEN:
        with statements(books) as seen:
            await books.get(path)
        assert seen
        assert not [statement for statement in seen if "usage_events" in statement], path


async def test_the_first_screen_is_read_in_few_statements(books: Books) -> None:
    await fill(books)
    with statements(books) as seen:
        await books.get("dashboard", days=30)
    assert len([statement for statement in seen if statement.startswith("SELECT")]) <= 18


async def test_the_figures_of_the_first_screen_agree_with_each_other(books: Books) -> None:
    await fill(books)
    board = await books.get("dashboard", days=7)
    trend = await books.get("cost_trend", days=7)
    assert board["spend"]["labels"] == [row["date"][5:] for row in trend["data"]]
    assert board["spend"]["total"] == [row["cost"] for row in trend["data"]]
    whole = board["cards"]["spend_period"]["value"]
    assert round(sum(board["spend"]["total"]), 9) == whole
    assert round(sum(series["total"] for series in board["spend"]["series"]), 9) == whole
    for by, rows in board["breakdowns"].items():
        assert sum(row["calls"] for row in rows) == 120, by
        assert abs(sum(row["share"] for row in rows) - 100) < 0.1, by
    assert sum(map(sum, board["heatmap"]["calls"])) == board["cards"]["calls"]["value"] == 120
    assert board["tools"] == [
        {
            "name": "srv__tool",
            "calls": 3,
            "success_rate": 100,
            "p50_ms": board["tools"][0]["p50_ms"],
            "p95_ms": board["tools"][0]["p95_ms"],
        }
    ]
    assert board["cards"]["tool_calls"]["value"] == 3
    assert board["cards"]["success_rate"]["value"] == 90
    assert board["cards"]["spend_today"]["value"] == (await books.get("stats/current"))["today"]["cost"]
    assert {"freshness_seconds", "lag_seconds", "gaps", "unpriced", "drift_events", "zone", "currency"} <= set(
        board["trust"]
    )


async def test_a_breakdown_with_more_than_ten_names_shows_the_dearest_ten(books: Books) -> None:
    await books.ledger.book.book(
        [ended("qwen-max", number * 100, 0, user_id=f"u{number:02}") for number in range(1, 16)]
    )
    users = (await books.get("dashboard"))["breakdowns"]["user"]
    assert [row["name"] for row in users] == [f"u{number:02}" for number in range(15, 5, -1)]


async def test_explore_compares_with_the_range_before(books: Books) -> None:
    await fill(books)
    found = await books.get("explore", by="user", measure="calls", days=2, compare="true")
    assert len(found["series"]) == 4
    assert (
        found["total"]
        == sum(series["total"] for series in found["series"])
        == sum(row["calls"] for row in found["rows"])
    )
    assert sum(found["series"][0]["values"]) == found["series"][0]["total"]
    assert found["previous"]["total"] == sum(found["previous"]["values"])
    for row in found["rows"]:
        assert row["value"] == row["calls"]


async def test_explore_puts_what_is_not_shown_into_one_series(books: Books) -> None:
    await fill(books)
    found = await books.get("explore", by="user", measure="tokens", top=2)
    assert [series["name"] for series in found["series"]][-1] == "other"
    assert sum(series["total"] for series in found["series"]) == found["total"]


async def test_a_percentile_of_equal_durations_is_that_duration_within_a_few_percent(books: Books) -> None:
    await books.ledger.book.book([ended(duration_ms=777.0, ttft_ms=33.0) for _ in range(50)])
    cards = (await books.get("dashboard"))["cards"]
    assert abs(cards["latency_p95_ms"]["value"] / 777 - 1) < 0.09
    assert abs(cards["ttft_p95_ms"]["value"] / 33 - 1) < 0.09


async def test_a_percentile_is_of_what_the_filter_leaves(books: Books) -> None:
    for model, milliseconds in (("qwen-plus", 100.0), ("qwen-max", 4000.0)):
        await books.ledger.book.book([ended(model, duration_ms=milliseconds, function="f") for _ in range(20)])

    async def told(**asked: Any) -> float | None:
        return (await books.get("explore", measure="calls", **asked))["rows"][0]["latency_p95_ms"]

    assert await told(by="none", model="qwen-plus") == pytest.approx(100, rel=0.1)
    assert await told(by="model", model="qwen-max") == pytest.approx(4000, rel=0.1)
    assert await told(by="none") == pytest.approx(4000, rel=0.1)
    assert await told(by="none", function="f") is None


async def test_questions_that_rollups_cannot_answer_are_refused(books: Books) -> None:
    for path in (
        "dashboard?model=a&user=b",
        "explore?by=user&model=a",
        "explore?measure=tool_calls&by=model",
        "dashboard?key=a&key=b",
    ):
        answer = await books.client.get(f"/api/ai_usage/{path}")
        assert answer.status_code == 422, path


async def test_a_session_is_told_in_order(books: Books) -> None:
    now = clock.now()
    await books.ledger.book.book(
        [ended(session_id="s", at=now - back, user_id="u") for back in (3, 1, 2)]
        + [ended("x__y", kind="tool", session_id="s", usage=TokenUsage(), at=now)]
    )
    line = await books.get("session/s/timeline")
    assert [event["offset_ms"] for event in line["events"]] == [0, 1000, 2000, 3000]
    assert (line["calls"], line["tool_calls"], line["cost"]) == (3, 1, 0.0066)
    (row,) = (await books.get("sessions"))["sessions"]
    assert (row["session_id"], row["user_id"], row["calls"]) == ("s", "u", 3)
    assert (await books.get("session/nobody/timeline"))["events"] == []
    assert (await books.get("sessions", q="x_"))["sessions"] == []


async def test_the_answer_is_fresh_right_after_a_booking(books: Books) -> None:
    for number in range(1, 4):
        await books.ledger.book.book([ended()])
        assert (await books.get("dashboard"))["cards"]["calls"]["value"] == number


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/St_Johns", "Australia/Lord_Howe"])
async def test_charts_of_hours_work_in_zones_off_the_full_hour(tmp_path: Path, zone: str) -> None:
    async with opened(tmp_path, {"usage": {"timezone": zone}}) as books:
        await books.ledger.book.book([ended(at=clock.now() - 600 * step) for step in range(30)])
        board = await books.get("dashboard", days=2)
        assert sum(map(sum, board["heatmap"]["calls"])) == 30
        hours = await books.get("explore", bucket="hour", measure="calls", by="none", days=2)
        assert hours["total"] == sum(hours["series"][0]["values"]) == 30


async def test_a_file_of_the_page_travels_compressed_and_only_when_it_changed(books: Books) -> None:
    packed = await books.client.get("/static/js/main.js", headers={"accept-encoding": "gzip"})
    plain = await books.client.get("/static/js/main.js", headers={"accept-encoding": "identity"})
    assert (packed.headers["content-encoding"], packed.content) == ("gzip", plain.content)
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) == len(plain.content)
    again = await books.client.get("/static/js/main.js", headers={"if-none-match": packed.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    head = await books.client.head("/static/js/main.js", headers={"accept-encoding": "identity"})
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(plain.content)))


async def test_a_file_that_is_edited_is_served_as_it_is_now(tmp_path: Path) -> None:
    file = tmp_path / "page.js"
    file.write_text("before")
    app = page.files(tmp_path)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://here") as client:
        assert (await client.get("/page.js")).text == "before"
        file.write_text("after")
        assert (await client.get("/page.js")).text == "after"


async def test_the_page_is_served_under_a_strict_policy(books: Books) -> None:
    for path in ("/static/ai_usage_monitor.html", "/static/js/main.js"):
        answer = await books.client.get(path)
        assert answer.status_code == 200
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
    for path in ("/static/%2e%2e/app.py", "/static/js", "/static/absent.js"):
        answer = await books.client.get(path)
        assert answer.status_code == 404
        assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert (await books.client.get("/static/../app.py")).status_code == 404
    assert (await books.client.post("/static/js/main.js")).status_code == 405
    assert (await books.client.get("/")).status_code == 307


async def test_health_answers_while_the_database_is_away(tmp_path: Path) -> None:
    async with opened(tmp_path) as books:
        await fill(books)
        assert (await books.get("health"))["database_connected"]
        books.ledger.live.number -= 90_000
        books.resources.database.ready.clear()  # as after a connection that was refused
        told = await books.get("health")
        assert (await books.client.get("/api/ai_usage/stats/current")).status_code == 503
        books.resources.database.ready.set()
    assert told["status"] == "degraded"
    assert told["database_connected"] is False
    assert told["lag_seconds"] > 90
    assert told["lag_events"] == 0
