"""Who may see what."""

from pathlib import Path

import pytest

from services.usage.access import Access
from shared.errors import Forbidden, Unauthenticated
from shared.settings import settings_from
from tests.fakes.ledger import ended, opened

TOKENS = {"TOLLWAY_ADMIN_TOKEN": "admin", "TOLLWAY_OPS_TOKEN": "ops", "TOLLWAY_INTERNAL_TOKEN": "inside"}
INSIDE = {"x-tollway-internal": "inside"}


@pytest.mark.parametrize(
    ("headers", "role"),
    [
        ({"authorization": "Bearer admin"}, "admin"),
        ({"x-api-key": "admin"}, "admin"),
        ({"authorization": "Bearer ops"}, "ops"),
        ({**INSIDE, "x-tollway-admin": "1"}, "admin"),
        ({**INSIDE, "x-tollway-key-id": "k"}, "key"),
    ],
)
def test_readers_are_known_by_their_token_or_by_the_gateways_word(headers: dict[str, str], role: str) -> None:
    assert Access(settings_from(TOKENS)).identify(headers).role == role


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"x-tollway-admin": "1"},
        {"x-tollway-key-id": "k"},
        {"x-tollway-internal": "x"},
    ],
)
def test_nobody_else_comes_in(headers: dict[str, str]) -> None:
    with pytest.raises(Unauthenticated):
        Access(settings_from(TOKENS)).identify(headers)


def test_without_a_token_the_ledger_is_open_and_with_only_a_client_token_that_one_is_needed() -> None:
    assert Access(settings_from({})).identify({}).role == "open"
    with pytest.raises(Unauthenticated):
        Access(settings_from({"TOKEN": "t"})).identify({})


def test_without_an_internal_token_only_this_machine_is_believed() -> None:
    access = Access(settings_from({"TOLLWAY_ADMIN_TOKEN": "admin"}))
    assert access.identify({"x-tollway-admin": "1"}, "127.0.0.1").role == "admin"
    for client in ("10.0.0.5", "203.0.113.9", "::2"):
        with pytest.raises(Unauthenticated):
            access.identify({"x-tollway-admin": "1"}, client)


def test_ops_and_keys_change_nothing() -> None:
    access = Access(settings_from(TOKENS))
    for headers in ({"authorization": "Bearer ops"}, {**INSIDE, "x-tollway-key-id": "k"}):
        with pytest.raises(Forbidden):
            access.identify(headers).require_admin()


async def test_a_key_sees_its_own_usage_only(tmp_path: Path) -> None:
    async with opened(tmp_path, **TOKENS) as books:
        await books.ledger.book.book(
            [ended(key_id="one", user_id="u", session_id="s"), ended(key_id="two", user_id="u")]
        )
        own = {**INSIDE, "x-tollway-key-id": "one"}

        async def read(path: str) -> dict[str, object]:
            answer = await books.client.get(f"/api/ai_usage/{path}", headers=own)
            assert answer.status_code == 200, answer.text
            return answer.json()

        assert (await read("stats/daily"))["total_calls"] == 1
        assert (await read("top_users"))["top_users"][0]["calls"] == 1  # type: ignore[index]
        assert [event["key_id"] for event in (await read("events"))["events"]] == ["one"]  # type: ignore[union-attr]
        assert (await read("breakdown?by=key"))["data"][0]["name"] == "one"  # type: ignore[index]
        assert (await read("stats/session/s"))["calls"] == 1
        assert "producers" not in await read("health")
        assert (await read("dashboard"))["cards"]["calls"]["value"] == 1  # type: ignore[index]
        for path in ("alerts", "dashboard?key=two"):
            assert (await books.client.get(f"/api/ai_usage/{path}", headers=own)).status_code == 403
        assert (await books.client.post("/api/ai_usage/proof", headers=own)).status_code == 403
        for path in ("internal/prices", "internal/spend?key_id=one"):
            assert (await books.client.get(f"/{path}")).status_code == 401
            assert (await books.client.get(f"/{path}", headers=INSIDE)).status_code == 200


async def test_a_key_learns_nothing_of_how_much_others_use(tmp_path: Path) -> None:
    async with opened(tmp_path, **TOKENS) as books:
        own = {**INSIDE, "x-tollway-key-id": "one"}

        async def strips() -> list[dict[str, object]]:
            health, board = [
                (await books.client.get(f"/api/ai_usage/{path}", headers=own)).json()
                for path in ("health", "dashboard")
            ]
            return [health, board["trust"], {"empty": board["empty"]}]

        before = await strips()
        assert before[2] == {"empty": True}
        await books.ledger.book.book([ended(key_id="two") for _ in range(3)] + [ended()])
        told = ("events_total", "last_event_at", "booked_at", "lag_events", "queue_depth", "spool_events", "empty")
        after = await strips()
        for here, there in zip(before, after, strict=True):
            assert {name: here.get(name) for name in told} == {name: there.get(name) for name in told}
        await books.ledger.book.book([ended(key_id="one"), ended("t", key_id="one", kind="tool")])
        assert [strip.get("events_total") for strip in await strips()] == [2, 2, None]
        admin = {"authorization": "Bearer admin"}
        assert (await books.client.get("/api/ai_usage/health", headers=admin)).json()["events_total"] == 6


async def test_a_client_is_not_told_where_the_servers_folders_are(tmp_path: Path) -> None:
    async with opened(tmp_path, **TOKENS) as books:
        for headers in ({**INSIDE, "x-tollway-key-id": "one"}, {"authorization": "Bearer admin"}):
            made = (await books.client.post("/api/ai_usage/export_report", headers=headers)).json()
            assert made["report_path"].startswith("records/ai_usage/usage_report_")
            assert made["download_url"].endswith("?path=" + Path(made["report_path"]).name)
            assert (await books.client.get(made["download_url"], headers=headers)).status_code == 200


async def test_a_key_cannot_book_for_another_one(tmp_path: Path) -> None:
    async with opened(tmp_path, **TOKENS) as books:
        body = {"model": "qwen-plus", "input_tokens": 1, "output_tokens": 1, "key_id": "two", "event_id": "same"}
        for key in ("one", "three"):
            headers = {**INSIDE, "x-tollway-key-id": key}
            answer = await books.client.post("/api/ai_usage/record", json=body, headers=headers)
            assert answer.json()["accepted"] == 1, "another key's event id is another event"
        admin = {"authorization": "Bearer admin"}
        found = (await books.client.get("/api/ai_usage/events", headers=admin)).json()["events"]
        assert {event["key_id"] for event in found} == {"one", "three"}
        ops = {"authorization": "Bearer ops"}
        assert (await books.client.post("/api/ai_usage/record", json=body, headers=ops)).status_code == 403
