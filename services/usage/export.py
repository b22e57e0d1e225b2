"""Reports to take away: JSON and HTML summaries, and CSV with a row for every event, written as streams."""

import asyncio
import csv
import hashlib
import html
import io
import re
import secrets
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from services.usage import summarise
from services.usage.answer import EVENT_FIELDS, encode, event_as_read
from services.usage.store import events as store
from services.usage.sums import NONE
from services.usage.zone import Span, Zone, dates
from shared import clock

Format = Literal["json", "csv", "html"]
# Below the data folder, as in the seed.
FOLDER = "records/ai_usage"
KEEP_SECONDS = 30 * 86_400
# A leap year.
MOST_DAYS = 366
MOST_USERS = 100
MEDIA = {"json": "application/json", "csv": "text/csv; charset=utf-8", "html": "text/html; charset=utf-8"}
CSV_FIELDS = tuple(name for name in EVENT_FIELDS if name != "time")

_NAME = re.compile(r"usage_report_\d{8}_\d{6}_[0-9a-f]{8}\.(json|csv|html)")
_MICRO = 1_000_000
# A cell that begins with one of these is a formula to a spreadsheet.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Exports:
    """The folder of reports. Names are opaque: they resolve to a file of the same owner, or to nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def make(
        self,
        connection: AsyncConnection,
        scope: str,
        zone: Zone,
        currency: str,
        first: date,
        last: date,
        kind: Format,
    ) -> Path:
        """Write a report over the days from the first to the last, both included."""
        now = clock.now()
        name = f"usage_report_{zone.local(now):%Y%m%d_%H%M%S}_{secrets.token_hex(4)}.{kind}"
        folder = self._folder / _owner(scope)
        await asyncio.to_thread(_prepare, folder, now)
        draft = folder / f".{name}"
        if kind == "csv":
            await _write_csv(connection, draft, scope, zone, zone.days(first, last))
        else:
            content = await summary(connection, scope, zone, currency, first, last)
            body = encode(content) if kind == "json" else page(content).encode()
            await asyncio.to_thread(draft.write_bytes, body)
        return await asyncio.to_thread(draft.rename, folder / name)

    def find(self, name: str, scope: str, *, sees_all: bool) -> Path | None:
        """The report of that name, if this reader may have it."""
        if not _NAME.fullmatch(name):
            return None
        everywhere = [self._folder, *sorted(path for path in self._folder.glob("*") if path.is_dir())]
        folders = everywhere if sees_all else [self._folder / _owner(scope)]
        for folder in folders:
            path = folder / name
            if path.is_file() and not path.is_symlink():
                return path
        return None


async def summary(
    connection: AsyncConnection, scope: str, zone: Zone, currency: str, first: date, last: date
) -> dict[str, Any]:
    """What a report says."""
    span = zone.days(first, last)
    totals = await summarise.summary(connection, scope, span)
    daily = await summarise.daily_cost(connection, scope, zone, first, last)
    return {
        "period_days": (last - first).days + 1,
        "from": first.isoformat(),
        "to": last.isoformat(),
        "timezone": zone.name,
        "currency": currency,
        "generated_at": zone.iso(clock.now()),
        **totals,
        "daily": [
            {"date": day.isoformat(), "calls": sums.calls, "tokens": sums.tokens, "cost": sums.cost}
            for day, sums in ((day, daily.get(day, NONE)) for day in dates(first, last))
        ],
        "top_users": await summarise.users_of(connection, scope, span, MOST_USERS),
        **{f"breakdown_{by}": await summarise.breakdown(connection, scope, by, span) for by in summarise.DIMENSIONS},
    }


async def _write_csv(connection: AsyncConnection, path: Path, scope: str, zone: Zone, span: Span) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerow(CSV_FIELDS)
        chunks = store.between(connection, span.start * _MICRO, span.end * _MICRO, key_id=scope or None)
        async for rows in chunks:
            corrections = await store.corrected(connection, [str(row.event_id) for row in rows])
            text = await asyncio.to_thread(_csv_rows, rows, corrections, zone)
            await asyncio.to_thread(file.write, text)


def _csv_rows(rows: Any, corrections: dict[str, list[Any]], zone: Zone) -> str:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    for row in rows:
        event = event_as_read(row, corrections.get(str(row.event_id), ()), zone)
        writer.writerow([cell(event[name]) for name in CSV_FIELDS])
    return buffer.getvalue()


def cell(value: object) -> str:
    """A CSV cell that no spreadsheet takes for a formula; unknown is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def page(content: dict[str, Any]) -> str:
    """A page that stands alone: no script, no network."""
    title = f"AI usage {content['from']} – {content['to']}"
    figures = "".join(
        f"<tr><th scope=row>{html.escape(_words(name))}</th><td>{html.escape(_figure(value))}</td></tr>"
        for name, value in content.items()
        if not isinstance(value, list | dict)
    )
    tables = "".join(_table(_words(name), rows) for name, rows in content.items() if isinstance(rows, list) and rows)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        "<style>body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
        "table{border-collapse:collapse;width:100%;margin:0 0 2rem}th,td{padding:.3rem .6rem;text-align:left;"
        "border-bottom:1px solid #ddd;font-variant-numeric:tabular-nums}</style>"
        f"<h1>{html.escape(title)}</h1><table>{figures}</table>{tables}</html>"
    )


def _table(title: str, rows: list[dict[str, Any]]) -> str:
    head = "".join(f"<th scope=col>{html.escape(_words(name))}</th>" for name in rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(_figure(value))}</td>" for value in row.values()) + "</tr>" for row in rows
    )
    return f"<h2>{html.escape(title)}</h2><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def shown_path(path: Path) -> str:
    """What a client is told: the seed's folder, and nothing of where on this machine it lies."""
    return f"{FOLDER}/{path.name}"


def _words(name: str) -> str:
    """A member's name as a heading."""
    return name.replace("breakdown_", "by_").replace("_", " ").capitalize()


def _figure(value: object) -> str:
    """Counts in groups of three, costs digit for digit, unknown as a dash."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "–" if value is None else str(value)


def _owner(scope: str) -> str:
    """The folder of an owner within that of all reports; whoever sees everything has no other."""
    return hashlib.sha256(scope.encode()).hexdigest()[:16] if scope else ""


def _prepare(folder: Path, now: float) -> None:
    """Make the folder and remove what is too old to be fetched."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.is_file() and path.stat().st_mtime < now - KEEP_SECONDS:
            path.unlink(missing_ok=True)
