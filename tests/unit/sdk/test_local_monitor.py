"""Statistics over the local files, and what happens to files that are not as they should be."""

import json
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tollway import get_usage_monitor, record_ai_usage, track_ai_usage
from tollway.ids import new_event_id
from tollway.usage.journal import Journal, LineFile


def book(days_ago=0, hours_ago=0, **fields):
    moment = datetime.now().astimezone() - timedelta(days=days_ago, hours=hours_ago)
    given = {"model": "qwen-max", "function": "f", "input_tokens": 1000, "output_tokens": 500, **fields}
    return record_ai_usage(timestamp=moment.timestamp(), **given)


@pytest.fixture
def monitor():
    return get_usage_monitor()


def test_records_go_to_the_file_of_their_own_day(records, monitor):
    book()
    book(days_ago=1)
    days = {(datetime.now() - timedelta(days=back)).strftime("usage_%Y-%m-%d.jsonl") for back in (0, 1)}
    assert {path.name for path in records.iterdir()} == days


def test_daily_hourly_monthly_and_current_figures_agree(monitor):
    book(user_id="a")
    book(model="qwen-plus", success=False)
    daily, hourly, monthly = monitor.get_daily_summary(), monitor.get_hourly_summary(), monitor.get_monthly_summary()
    assert daily.total_calls == hourly.total_calls == 2
    assert monthly.total_calls >= 2
    assert daily.success_rate == 50.0
    assert daily["by_model"]["qwen-max"] == {
        "calls": 1,
        "total_tokens": 1500,
        "cost": 0.05,
    }
    current = monitor.get_current_stats()
    assert current.today.calls == current["current_hour"]["calls"] == 2
    assert (daily.period, hourly.period, monthly.period) == ("daily", "hourly", "monthly")
    assert json.loads(json.dumps(daily)) == daily


def test_a_total_without_a_split_is_counted_and_its_cost_unknown(monitor):
    alone = {"input_tokens": None, "output_tokens": None, "total_tokens": 2700}
    record = book(**alone, session_id="s")
    told = [record[name] for name in ("input_tokens", "output_tokens", "total_tokens", "cost", "unpriced")]
    assert told == [None, None, 2700, None, True]
    assert record["usage_source"] == "provider"
    book(**alone, cost=0.0164)
    daily = monitor.get_daily_summary()
    assert (daily.total_tokens, daily.total_cost, daily.unpriced_calls) == (5400, 0.0164, 1)
    assert monitor.get_session_stats("s").tokens == 2700
    assert book(input_tokens=2000, output_tokens=None, total_tokens=2700)["output_tokens"] == 700


def test_an_answer_that_tells_nothing_but_a_total_keeps_it(monitor):
    track_ai_usage("f", "voyage-3")(lambda: {"usage": {"total_tokens": 12}})()
    assert monitor.get_daily_summary().total_tokens == 12


def test_other_hours_days_and_months_are_empty(monitor):
    book()
    assert monitor.get_hourly_summary(hours_ago=3).total_calls == 0
    assert monitor.get_daily_summary(days_ago=3).total_calls == 0
    assert monitor.get_monthly_summary(year=2020, month=2).date == "2020-02"


def test_figures_read_as_attributes_and_as_a_dictionary(monitor):
    daily = monitor.get_daily_summary()
    assert daily.total_cost == daily["total_cost"] == daily.get("total_cost") == 0.0
    with pytest.raises(AttributeError, match="total_costs"):
        _ = daily.total_costs


def test_a_session_is_summed_over_all_days(monitor):
    book(session_id="s")
    book(days_ago=2, session_id="s")
    book(session_id="other")
    stats = monitor.get_session_stats("s")
    assert (stats["calls"], stats["tokens"], stats["cost"]) == (2, 3000, 0.1)
    assert monitor.get_session_stats("unknown")["calls"] == 0


def test_the_dearest_users_come_first(monitor):
    book(user_id="cheap", model="qwen-plus")
    book(user_id="dear")
    book(user_id="old", days_ago=9)
    book()
    users = monitor.get_top_users(limit=10, days=7)
    assert [user["user_id"] for user in users] == ["dear", "cheap"]
    assert users[0] == {"user_id": "dear", "calls": 1, "tokens": 1500, "cost": 0.05}
    assert len(monitor.get_top_users(limit=1, days=30)) == 1


def test_the_trend_has_every_day_with_zeros(monitor):
    book()
    book(days_ago=2)
    trend = monitor.get_cost_trend(days=4)
    today = datetime.now().date()
    assert trend == [
        {"date": (today - timedelta(days=3)).isoformat(), "cost": 0.0},
        {"date": (today - timedelta(days=2)).isoformat(), "cost": 0.05},
        {"date": (today - timedelta(days=1)).isoformat(), "cost": 0.0},
        {"date": today.isoformat(), "cost": 0.05},
    ]


def test_reports_never_overwrite_each_other(records, monitor):
    book()
    paths = {monitor.export_report(), monitor.export_report(), monitor.export_report(days=30)}
    assert len(paths) == 3
    assert all(path.parent == records for path in paths)
    report = json.loads(monitor.export_report("there/r.json", days=3).read_text())
    assert (report["period_days"], report["total_calls"], len(report["daily"])) == (3, 1, 3)
    assert [path.name for path in Path("there").iterdir()] == ["r.json"]


def test_a_torn_last_line_costs_only_itself(records, monitor, caplog):
    book()
    (path,) = records.iterdir()
    with path.open("ab") as file:
        file.write(b'{"timestamp": 17300012')
    assert monitor.get_daily_summary().total_calls == 1
    book()
    assert monitor.get_daily_summary().total_calls == 2
    assert "1 unreadable line" in caplog.text


def test_a_torn_last_line_may_end_inside_a_character(records, monitor):
    book()
    (path,) = records.iterdir()
    with path.open("ab") as file:
        file.write('{"function": "实'.encode()[:-1])
    book()
    assert monitor.get_daily_summary().total_calls == 2


def test_a_record_without_a_final_newline_is_kept(records):
    journal = Journal(records)
    record = book()
    path = journal.path(datetime.now().date())
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    book()
    assert next(kept["event_id"] for kept in journal.everything()) == record["event_id"]
    assert len(list(journal.everything())) == 2


def test_a_deleted_folder_is_made_again(records, monitor):
    book()
    for path in records.iterdir():
        path.unlink()
    records.rmdir()
    book()
    assert monitor.get_daily_summary().total_calls == 1


def test_odd_values_break_nothing(monitor):
    book(duration_ms=float("nan"), error_msg="\ud800" + "x" * 9000, user_id=42)
    book(input_tokens="many", output_tokens=-1)
    record_ai_usage(None, None)
    first, second, third = monitor.journal.everything()
    assert (first["duration_ms"], first["user_id"], len(first["error_msg"])) == (None, "42", 2000)
    assert (second["input_tokens"], second["cost"]) == (None, None)
    assert third["unpriced"] is True


def test_a_record_nobody_can_write_does_not_hold_up_the_others(monitor, caplog):
    endless = []
    endless.append(endless)
    book(extra=endless)
    book()
    assert monitor.get_daily_summary().total_calls == 1
    assert "only in the log" in caplog.text


@pytest.mark.parametrize("moment", [float("nan"), float("inf"), -1, 1e15, "yesterday"])
def test_an_impossible_moment_is_now(monitor, moment):
    assert abs(record_ai_usage("qwen-plus", "f", 1, 1, timestamp=moment)["timestamp"] - time.time()) < 60
    assert monitor.get_daily_summary().total_calls == 1


def test_the_environment_may_name_another_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("TOLLWAY_USAGE_DIR", str(tmp_path / "elsewhere"))
    book()
    assert list(Path(tmp_path / "elsewhere").glob("usage_*.jsonl"))


def test_the_same_process_has_one_monitor(monitor):
    assert get_usage_monitor() is monitor


def test_event_ids_are_version_seven_and_sort_by_time():
    ids = []
    for _ in range(3):
        ids.append(new_event_id())
        # of two ids in the same millisecond either may be the greater
        now = time.time_ns() // 1_000_000
        while time.time_ns() // 1_000_000 == now:
            pass
    assert ids == sorted(ids)
    assert all(made[14] == "7" and made[19] in "89ab" for made in ids)


def test_appending_makes_missing_folders(tmp_path):
    LineFile(tmp_path / "a" / "b" / "c.jsonl").append(b"{}\n")
    assert (tmp_path / "a" / "b" / "c.jsonl").read_bytes() == b"{}\n"
