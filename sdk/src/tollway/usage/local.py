"""The monitor on local JSONL files."""

import calendar
import contextlib
import json
import os
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from tollway.usage.figures import Figures, Record, group, summarise, total
from tollway.usage.journal import Journal
from tollway.usage.monitor import UsageMonitor
from tollway.usage.pricing import ModelPricing


class LocalUsageMonitor(UsageMonitor):
    """Books into the seed's folder of daily files and reads its statistics from there."""

    def __init__(self, directory: str | Path, pricing: type[ModelPricing] = ModelPricing) -> None:
        super().__init__(pricing)
        self.journal = Journal(Path(directory))

    def _store(self, record: Record) -> None:
        self.journal.append(record)

    def get_current_stats(self) -> Figures:
        today = list(self.journal.day(_now().date()))
        hour = _hour(0)
        current = total(record for record in today if _within(record, hour, hour + timedelta(hours=1)))
        whole = summarise(today, "daily", _now().date().isoformat())
        return Figures(
            current_hour=Figures(
                current.as_row(),
                success_rate=current.success_rate,
            ),
            today=Figures(
                total(today).as_row(),
                by_model=whole.by_model,
                by_function=whole.by_function,
            ),
        )

    def get_session_stats(self, session_id: str) -> Figures:
        whole = total(record for record in self.journal.everything() if record.get("session_id") == session_id)
        return Figures(whole.as_row())

    def get_hourly_summary(self, hours_ago: int = 0) -> Figures:
        start = _hour(hours_ago)
        end = start + timedelta(hours=1)
        records = [record for record in self.journal.day(start.date()) if _within(record, start, end)]
        figures = summarise(records, "hourly", start.date().isoformat())
        return Figures(figures, hour=start.strftime("%Y-%m-%d %H:00"))

    def get_daily_summary(self, days_ago: int = 0) -> Figures:
        day = _now().date() - timedelta(days=days_ago)
        return summarise(list(self.journal.day(day)), "daily", day.isoformat())

    def get_monthly_summary(self, year: int | None = None, month: int | None = None) -> Figures:
        first = _now().date().replace(day=1)
        first = first.replace(year=year or first.year, month=month or first.month)
        days = calendar.monthrange(first.year, first.month)[1]
        records = self._span(first, first.replace(day=days))
        figures = summarise(list(records), "monthly", first.strftime("%Y-%m"))
        return Figures(figures, year=first.year, month=first.month)

    def get_top_users(self, limit: int = 10, days: int = 7) -> list[dict[str, Any]]:
        users = group(
            (record for record in self._last(days) if record.get("user_id")), lambda record: record["user_id"]
        )
        dearest = sorted(users.items(), key=lambda item: (-item[1].nano, -item[1].calls, item[0]))
        return [{"user_id": user, **spent.as_row()} for user, spent in dearest[:limit]]

    def get_cost_trend(self, days: int = 30) -> list[dict[str, Any]]:
        return [{"date": row["date"], "cost": row["cost"]} for row in self._days(days)]

    def export_report(self, output_path: str | Path | None = None, days: int = 7) -> Path:
        path = Path(output_path) if output_path is not None else self._report_path()
        today = _now().date()
        figures = summarise(list(self._last(days)), "report", today.isoformat())
        report = {
            "generated_at": _now().isoformat(timespec="seconds"),
            "period_days": days,
            "from": (today - timedelta(days=days - 1)).isoformat(),
            "to": today.isoformat(),
            **{name: value for name, value in figures.items() if name not in ("period", "date")},
            "top_users": self.get_top_users(limit=100, days=days),
            "daily": self._days(days),
        }
        write_whole(path, json.dumps(report, ensure_ascii=False, indent=2).encode())
        return path

    def _days(self, days: int) -> list[dict[str, Any]]:
        today = _now().date()
        span = [today - timedelta(days=back) for back in reversed(range(days))]
        return [{"date": day.isoformat(), **total(self.journal.day(day)).as_row()} for day in span]

    def _last(self, days: int) -> Iterator[Record]:
        today = _now().date()
        return self._span(today - timedelta(days=days - 1), today)

    def _span(self, first: date, last: date) -> Iterator[Record]:
        for offset in range((last - first).days + 1):
            yield from self.journal.day(first + timedelta(days=offset))

    def _report_path(self) -> Path:
        stem = f"usage_report_{_now():%Y%m%d_%H%M%S}"
        path, again = self.journal.directory / f"{stem}.json", 2
        while path.exists():
            path, again = self.journal.directory / f"{stem}_{again}.json", again + 1
        return path


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file so that nobody ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            part.unlink()


def _now() -> datetime:
    return datetime.now().astimezone()


def _hour(hours_ago: int) -> datetime:
    return _now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=hours_ago)


def _within(record: Record, start: datetime, end: datetime) -> bool:
    moment = record.get("timestamp")
    return isinstance(moment, int | float) and start.timestamp() <= moment < end.timestamp()
