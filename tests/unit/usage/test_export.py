"""Reports to take away."""

import csv
import io
import json
from datetime import date
from pathlib import Path

import pytest

from services.usage.export import cell
from tests.fakes.ledger import Books, ended, opened

FIELDS = """event_id request_id attempt timestamp kind key_id user_id session_id anchor_id function provider model
requested_model input_tokens output_tokens total_tokens cache_read_tokens cache_write_tokens reasoning_tokens cost currency
unpriced usage_source duration_ms ttft_ms success status error_msg"""


async def fetched(books: Books, kind: str, **headers: str) -> tuple[str, bytes]:
    made = await books.post("export_report", days=7, format=kind)
    assert made["success"] is True
    assert made["report_path"].endswith(f".{kind}")
    answer = await books.client.get(made["download_url"], headers=headers)
    assert answer.status_code == 200
    assert answer.headers["x-content-type-options"] == "nosniff"
    return made["download_url"], answer.content


async def test_a_json_report_has_the_totals(books: Books) -> None:
    await books.ledger.book.book([ended("qwen-max") for _ in range(3)])
    url, body = await fetched(books, "json")
    assert b'"total_calls":3' in body
    assert b'"total_tokens":8100' in body
    assert b'"total_cost":0.246' in body
    assert url.startswith("/api/ai_usage/download_report?path=usage_report_")


async def test_a_csv_report_has_a_row_for_every_event_and_no_formulas(books: Books) -> None:
    evil = ["=1+1", "+cmd", "-2", "@SUM(A1)", "\tx", 'a"b,c\nd']
    await books.ledger.book.book([ended(user_id=name) for name in evil] + [ended("mystery", function=None)])
    _, body = await fetched(books, "csv")
    rows = list(csv.DictReader(io.StringIO(body.decode(), newline="")))
    assert list(rows[0]) == FIELDS.split()
    assert len(rows) == 7
    assert {row["user_id"] for row in rows} == {"'=1+1", "'+cmd", "'-2", "'@SUM(A1)", "'\tx", 'a"b,c\nd', ""}
    assert [row["cost"] for row in rows] == ["0.0022"] * 6 + [""]


async def test_an_html_report_stands_alone_and_escapes(books: Books) -> None:
    await books.ledger.book.book([ended(user_id="<script>alert(1)</script>")])
    _, body = await fetched(books, "html")
    assert b"<script" not in body
    assert b"&lt;script&gt;" in body


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd", "/etc/passwd", "..", "", "usage_report_20261121_000000_00000000.json", "%2e%2e%2fx",
        "usage_report_20261121_000000_00000000.json/../x", "all/usage_report.json", "a\0b", "x" * 400, "tollway.db",
    ],
)  # fmt: skip
async def test_names_that_are_no_reports_are_not_found(books: Books, name: str) -> None:
    answer = await books.client.get("/api/ai_usage/download_report", params={"path": name})
    assert answer.status_code in (400, 404)


async def test_links_in_the_folder_are_not_followed(books: Books, tmp_path: Path) -> None:
    await fetched(books, "json")
    secret = tmp_path / "secret"
    secret.write_text("x")
    folder = tmp_path / "records" / "ai_usage"
    (folder / "usage_report_20261121_000000_00000000.json").symlink_to(secret)
    answer = await books.client.get("/api/ai_usage/download_report?path=usage_report_20261121_000000_00000000.json")
    assert answer.status_code == 404


async def test_a_report_of_a_month_has_its_days_and_no_others(books: Books) -> None:
    zone = books.ledger.zone
    first, after = zone.start_of(date(2026, 10, 1)), zone.start_of(date(2026, 11, 1))
    await books.ledger.book.book([ended(user_id=f"u{at}", at=at) for at in (first - 1, first, after - 1, after)])
    period = {"from": "2026-10-01", "to": "2026-10-31"}
    made = await books.post("export_report", format="json", **period)
    told = json.loads((await books.client.get(made["download_url"])).content)
    assert (told["from"], told["to"], told["period_days"]) == ("2026-10-01", "2026-10-31", 31)
    assert (told["total_calls"], len(told["daily"])) == (2, 31)
    assert {row["user_id"] for row in told["top_users"]} == {f"u{first}", f"u{after - 1}"}
    made = await books.post("export_report", format="csv", **period)
    assert len((await books.client.get(made["download_url"])).content.splitlines()) == 3


async def test_parameters_out_of_range_are_422(books: Books) -> None:
    periods = (
        "from=2026-10-02&to=2026-10-01",
        "from=2025-01-01&to=2026-10-01",
        "from=x",
        "to=1950-01-01",
        "to=0001-01-01",
    )
    for query in ("days=0", "days=9999", "format=xml", "format=../x", *periods):
        assert (await books.client.post(f"/api/ai_usage/export_report?{query}")).status_code == 422


async def test_a_keys_report_is_its_own(tmp_path: Path) -> None:
    tokens = {"TOLLWAY_ADMIN_TOKEN": "admin", "TOLLWAY_INTERNAL_TOKEN": "inside"}
    async with opened(tmp_path, **tokens) as books:
        await books.ledger.book.book([ended(key_id="one"), ended(key_id="two")])

        def headers(key: str) -> dict[str, str]:
            return {"x-tollway-internal": "inside", "x-tollway-key-id": key}

        made = (await books.client.post("/api/ai_usage/export_report?format=csv", headers=headers("one"))).json()
        own = await books.client.get(made["download_url"], headers=headers("one"))
        assert own.text.count("\n") == 2
        assert (await books.client.get(made["download_url"], headers=headers("two"))).status_code == 404
        admin = await books.client.get(made["download_url"], headers={"authorization": "Bearer admin"})
        assert admin.status_code == 200


def test_cells_tell_unknown_from_zero() -> None:
    assert [cell(value) for value in (None, 0, False, True, "x")] == ["", "0", "false", "true", "x"]
