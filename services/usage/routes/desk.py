"""Reports to take away, the proof, and the live stream."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import FileResponse, Response, StreamingResponse

from services.usage import summarise, trust
from services.usage.answer import Json, encode, event_as_read
from services.usage.export import MEDIA, MOST_DAYS, Format, shown_path
from services.usage.ledger import Ledger
from services.usage.live import MOST_EVENTS
from services.usage.routes.edge import LedgerHere, ReaderHere, period
from services.usage.store import events
from shared import clock
from shared.errors import NotFound, Unavailable

router = APIRouter(prefix="/api/ai_usage", tags=["usage"])

KEEP_ALIVE_SECONDS = 10.0
LEAST_SECONDS = 1.0
_NEWS = ("today", "current_hour", "events")
_REPORT_HEADERS = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'",
}


@router.post("/export_report")
async def export_report(
    ledger: LedgerHere,
    reader: ReaderHere,
    days: Annotated[int, Query(ge=1, le=365)] = 7,
    kind: Annotated[Format, Query(alias="format")] = "json",
    first: Annotated[date | None, Query(alias="from")] = None,
    last: Annotated[date | None, Query(alias="to")] = None,
) -> Response:
    """Write a report over the last days, or over those from a date to another, both included."""
    first, last = period(ledger, first, last, days, MOST_DAYS)
    async with ledger.resources.database.read() as connection:
        if ledger.resources.database.dialect == "postgresql":
            # Many questions, one moment: without it what is booked in between would be in some of the sums only.
            await connection.execution_options(isolation_level="REPEATABLE READ")
        path = await ledger.exports.make(connection, reader.scope, ledger.zone, ledger.currency, first, last, kind)
    link = f"/api/ai_usage/download_report?path={path.name}"
    return Json({"success": True, "report_path": shown_path(path), "download_url": link})


@router.get("/download_report")
async def download_report(
    ledger: LedgerHere, reader: ReaderHere, path: Annotated[str, Query(max_length=512)]
) -> Response:
    """A report that was made before, by its name."""
    found = ledger.exports.find(path, reader.scope, sees_all=reader.sees_all)
    if found is None:
        raise NotFound("There is no such report.", param="path")
    media = MEDIA[found.suffix.removeprefix(".")]
    return FileResponse(found, media_type=media, filename=found.name, headers=_REPORT_HEADERS)


@router.post("/proof")
@router.post("/prove", include_in_schema=False)
async def proof(
    ledger: LedgerHere,
    reader: ReaderHere,
    days: Annotated[int | None, Query(ge=1, le=3660)] = None,
    repair: Annotated[bool, Query()] = False,  # noqa: FBT002 -- a query parameter is always named
) -> Response:
    """Compare the rollups with the events, now; `repair=true` puts right what differs."""
    reader.require_admin()
    return Json(await ledger.proof.run(days, repair=repair))


@router.get("/live")
async def live(ledger: LedgerHere, reader: ReaderHere, request: Request) -> Response:
    """News as server-sent events: at once on connecting, then when something was booked, at most once a second."""
    last = request.headers.get("last-event-id", "")
    seen = int(last) if last.isascii() and last.isdigit() and len(last) < 19 else 0
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(
        _news(ledger, reader.scope, seen, sees_all=reader.sees_all), media_type="text/event-stream", headers=headers
    )


async def _news(ledger: Ledger, scope: str, seen: int, *, sees_all: bool) -> AsyncIterator[bytes]:
    yield b"retry: 2000\n\n"
    draining = ledger.resources.lifecycle.draining
    # After a reconnect nothing is told twice; a number from the future is another process's clock.
    seen = min(seen, ledger.live.number)
    quiet_since = clock.monotonic()
    told: dict[str, Any] = {}
    while not draining.is_set():
        if not await ledger.live.wait(seen, LEAST_SECONDS):
            if clock.monotonic() - quiet_since >= KEEP_ALIVE_SECONDS:
                quiet_since = clock.monotonic()
                yield b": keep-alive\n\n"
            continue
        seen, quiet_since = ledger.live.number, clock.monotonic()
        try:
            body = await ledger.kept.get(
                ("live", scope, sees_all), seen, lambda: _stats(ledger, scope, sees_all=sees_all)
            )
        except Unavailable:
            # The numbers come with the next booking that can be read.
            await asyncio.sleep(LEAST_SECONDS)
            continue
        news = {name: body[name] for name in _NEWS}
        if scope and news == told:
            continue  # somebody else's bookings are no news for a key
        told = news
        yield b"id: %d\ndata: %b\n\n" % (seen, encode(body))
        await _pause(draining)


async def _pause(draining: asyncio.Event) -> None:
    """At least this long between two pieces of news, unless the process stops."""
    try:
        async with asyncio.timeout(LEAST_SECONDS):
            await draining.wait()
    except TimeoutError:
        return


async def _stats(ledger: Ledger, scope: str, *, sees_all: bool) -> dict[str, Any]:
    now = clock.now()
    async with ledger.resources.database.read() as connection:
        stats = await summarise.current(connection, scope, ledger.zone, now)
        strip = await trust.trust(connection, ledger, scope, sees_all=sees_all)
        recent = ledger.live.recent if scope else ledger.live.recent[:MOST_EVENTS]
        rows = await events.last_of(connection, recent)
        corrections = await events.corrected(connection, [str(row.event_id) for row in rows])
    shown = sorted(rows, key=lambda row: (row.at_us, str(row.event_id)), reverse=True)
    own = [row for row in shown if not scope or row.key_id == scope][:MOST_EVENTS]
    return {
        "type": "stats",
        "generated_at": ledger.zone.iso(now),
        "trust": strip,
        "current_hour": stats["current_hour"],
        "today": {name: stats["today"][name] for name in ("calls", "tokens", "cost")},
        "events": [event_as_read(row, corrections.get(str(row.event_id), ()), ledger.zone) for row in own],
    }
