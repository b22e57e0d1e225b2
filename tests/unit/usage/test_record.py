"""Recording what was spent elsewhere."""

import csv

import pytest

from tests.fakes.ledger import Books

GOOD = {"model": "qwen-plus", "input_tokens": 10, "output_tokens": 5}


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ('{"model": "m", "input_tokens": -1}', 422, "input_tokens"),
        ('{"model": "m", "input_tokens": 1.5}', 422, "input_tokens"),
        ('{"model": "m", "input_tokens": "7"}', 422, "input_tokens"),
        ('{"model": "m", "input_tokens": 99999999999999999999999}', 422, "input_tokens"),
        ('{"model": "m", "input_tokens": 1e400}', 422, "input_tokens"),
        ('{"model": "m", "cost": -0.1}', 422, "cost"),
        ('{"model": "m", "cost": 1e300}', 422, "cost"),
        ('{"model": "m", "cost": "NaN"}', 422, "cost"),
        ('{"model": "m", "timestamp": 1e300}', 422, "timestamp"),
        ('{"model": "m", "timestamp": -1}', 422, "timestamp"),
        ('{"model": "m", "timestamp": 3999999999}', 422, "timestamp"),
        ('{"model": "m", "timestamp": "2026-01-01"}', 422, "timestamp"),
        ('{"model": "m", "duration_ms": -1}', 422, "duration_ms"),
        ('{"model": "m", "success": "yes"}', 422, "success"),
        ('{"model": "m", "status": "fine"}', 422, "status"),
        ('{"model": "m", "kind": "cache"}', 422, "kind"),
        ('{"model": "m", "attempt": 0}', 422, "attempt"),
        ('{"model": "m", "currency": "money"}', 422, "currency"),
        ('{"model": "m", "input_tokens": 5, "cache_read_tokens": 6}', 422, "cache_read_tokens"),
        ('{"model": ""}', 422, "model"),
        ('{"input_tokens": 5}', 422, "model"),
        ('[{"model": "m"}, {"model": "m", "output_tokens": -1}]', 422, "[1].output_tokens"),
        ('{"model": "m", "input_tokens": NaN}', 400, None),
        ('{"model": "m", "model": "n"}', 400, "model"),
        ('[{"model": "m", "cost": 1, "cost": 2}]', 400, "cost"),
        ('{"model": "m", "input_tokens": Infinity}', 400, None),
        ('{"model": "m", "success": false, "status": "ok"}', 422, "success"),
        ('{"model": "m", "input_tokens": 5, "output_tokens": 5, "total_tokens": 11}', 422, "total_tokens"),
        ('{"model": "m", "input_tokens": 5, "total_tokens": 4}', 422, "total_tokens"),
        ('{"model": "gpt-4", "input_tokens": 1000000000000}', 422, None),
        ('{"model": "m", "metadata": ' + "[" * 200 + "]" * 200 + "}", 400, None),
        ("[" * 201 + "]" * 201, 400, None),
        ("", 400, None),
        ("[", 400, None),
        ("\xff", 400, None),
        ('"text"', 422, None),
        ("null", 422, None),
    ],
)
async def test_a_bad_record_is_refused_with_the_field_named(
    books: Books, body: str, status: int, param: str | None
) -> None:
    answer = await books.client.post("/api/ai_usage/record", content=body.encode("latin-1"))
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["param"] == param
    assert (await books.get("events"))["events"] == []


async def test_one_bad_record_refuses_the_whole_list(books: Books) -> None:
    answer = await books.client.post("/api/ai_usage/record", json=[GOOD, {**GOOD, "input_tokens": -1}])
    assert answer.status_code == 422
    assert (await books.get("events"))["events"] == []


async def test_one_event_or_a_list_is_taken_and_ids_come_back_in_order(books: Books) -> None:
    one = await books.post("record", GOOD)
    many = await books.post("record", [{**GOOD, "event_id": "a"}, {**GOOD, "event_id": "b"}, {**GOOD, "event_id": "a"}])
    assert (one["accepted"], one["duplicates"], len(one["event_ids"])) == (1, 0, 1)
    assert (many["accepted"], many["duplicates"]) == (2, 1)
    assert many["event_ids"][0] == many["event_ids"][2] != many["event_ids"][1]
    assert await books.post("record", []) == {"accepted": 0, "duplicates": 0, "event_ids": []}
    assert (await books.get("stats/current"))["today"]["calls"] == 3


async def test_a_callers_own_uuid_stays_its_name(books: Books) -> None:
    own = "3f2b8c1e-5a4d-4e6f-9b7a-0c1d2e3f4a5b"
    first = await books.post("record", {**GOOD, "event_id": own})
    again = await books.post("record", {**GOOD, "event_id": own.upper()})
    assert (first["accepted"], again["duplicates"], first["event_ids"]) == (1, 1, [own])
    assert [event["event_id"] for event in (await books.get("events"))["events"]] == [own]


async def test_a_failure_is_told_as_one(books: Books) -> None:
    await books.post("record", [{**GOOD, "success": False, "error_msg": "boom"}, {**GOOD, "success": False}])
    events = (await books.get("events"))["events"]
    assert {event["status"] for event in events} == {"error"}
    assert all(event["error_msg"] and event["success"] is False for event in events)


async def test_a_cost_that_was_given_is_kept_to_the_nano(books: Books) -> None:
    await books.client.post(
        "/api/ai_usage/record", content='{"model": "x", "input_tokens": 1, "cost": 0.123456789, "currency": "usd"}'
    )
    answer = await books.client.get("/api/ai_usage/events")
    assert '"cost":0.123456789,"currency":"USD","unpriced":false' in answer.text


async def test_unknown_fields_and_other_peoples_words_do_no_harm(books: Books) -> None:
    await books.post(
        "record", {**GOOD, "total_tokens": 15, "whatever": {"a": [1]}, "user_id": "'; DROP TABLE usage_events; --"}
    )
    (event,) = (await books.get("events"))["events"]
    assert event["user_id"] == "'; DROP TABLE usage_events; --"


async def test_too_many_at_once_is_413(books: Books) -> None:
    answer = await books.client.post("/api/ai_usage/record", json=[GOOD] * 10_001)
    assert answer.status_code == 413


async def test_a_total_without_a_split_is_kept_counted_and_unpriced(books: Books) -> None:
    told = {"model": "qwen-plus", "function": "f", "user_id": "u", "session_id": "s", "total_tokens": 2700}
    await books.post("record", told)
    (event,) = (await books.get("events"))["events"]
    names = ("input_tokens", "output_tokens", "total_tokens", "cost", "currency", "unpriced", "usage_source")
    assert tuple(event[name] for name in names) == (None, None, 2700, None, None, True, "provider")
    day = await books.get("stats/daily")
    assert (day["total_tokens"], day["input_tokens"], day["total_cost"], day["unpriced_calls"]) == (2700, 0, 0, 1)
    assert day["by_model"] == {"qwen-plus": {"calls": 1, "total_tokens": 2700, "cost": 0}}
    assert (await books.get("top_users"))["top_users"][0]["tokens"] == 2700
    assert (await books.get("stats/session/s"))["tokens"] == 2700
    exported = await books.post("export_report", format="csv")
    (row,) = csv.DictReader((await books.client.get(exported["download_url"])).text.splitlines())
    assert (row["input_tokens"], row["output_tokens"], row["total_tokens"], row["cost"]) == ("", "", "2700", "")
    (alert,) = (await books.get("alerts"))["alerts"]
    assert (alert["kind"], alert["name"], alert["state"]) == ("unpriced", "qwen-plus", "firing")
    assert "without a split" in alert["text"]
    await books.ledger.alerts.settle()
    assert (await books.get("alerts"))["alerts"][0]["state"] == "firing"
    assert (await books.post("proof"))["ok"]
    period = {"from": "2020-01-01", "to": "2030-01-01", "dry_run": False}
    assert (await books.post("prices/reprice", period))["changed"] == 0


async def test_a_total_without_a_split_costs_what_its_caller_says(books: Books) -> None:
    await books.post("record", {"model": "qwen-plus", "total_tokens": 2700, "cost": 0.0164})
    (event,) = (await books.get("events"))["events"]
    assert (event["total_tokens"], event["cost"], event["currency"], event["unpriced"]) == (2700, 0.0164, "CNY", False)
    assert (await books.get("alerts"))["alerts"] == []


async def test_a_total_tells_what_was_not_told_beside_it(books: Books) -> None:
    await books.post("record", [{"model": "m", "input_tokens": 5, "total_tokens": 9}, {"model": "m", "success": None}])
    told = [(event["input_tokens"], event["output_tokens"]) for event in (await books.get("events"))["events"]]
    assert sorted(told, key=str) == [(5, 4), (None, None)]
