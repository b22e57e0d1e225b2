"""The seed's statistics."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from services.usage import summarise
from services.usage.answer import Json
from services.usage.routes.edge import LedgerHere, ReaderHere, kept
from services.usage.zone import HOUR, Span
from shared import clock

router = APIRouter(prefix="/api/ai_usage", tags=["usage"])

By = Literal["model", "function", "user", "key", "anchor", "provider"]
_MOST_HOURS = 24 * 366
_MOST_DAYS = 3660


@router.get("/stats/current")
async def current(ledger: LedgerHere, reader: ReaderHere) -> Response:
    """This hour and today."""
    async with ledger.resources.database.read() as connection:
        return Json(await summarise.current(connection, reader.scope, ledger.zone, clock.now()))


@router.get("/stats/hourly")
async def hourly(
    ledger: LedgerHere, reader: ReaderHere, hours_ago: Annotated[int, Query(ge=0, le=_MOST_HOURS)] = 0
) -> Response:
    """One hour of the reporting zone."""
    start = ledger.zone.bucket(clock.now() - hours_ago * HOUR)
    async with ledger.resources.database.read() as connection:
        body = await summarise.summary(connection, reader.scope, Span(start, start + HOUR))
    local = ledger.zone.local(start)
    head = {"period": "hourly", "date": local.date().isoformat(), "hour": local.strftime("%Y-%m-%d %H:00")}
    return Json({**head, **body, "currency": ledger.currency})


@router.get("/stats/daily")
async def daily(
    ledger: LedgerHere, reader: ReaderHere, days_ago: Annotated[int, Query(ge=0, le=_MOST_DAYS)] = 0
) -> Response:
    """One day of the reporting zone."""
    day = ledger.zone.today(clock.now()) - timedelta(days=days_ago)
    async with ledger.resources.database.read() as connection:
        body = await summarise.summary(connection, reader.scope, ledger.zone.day(day))
    return Json({"period": "daily", "date": day.isoformat(), **body, "currency": ledger.currency})


@router.get("/stats/monthly")
async def monthly(
    ledger: LedgerHere,
    reader: ReaderHere,
    year: Annotated[int | None, Query(ge=1971, le=9998)] = None,
    month: Annotated[int | None, Query(ge=1, le=12)] = None,
) -> Response:
    """One calendar month; this one unless told otherwise."""
    today = ledger.zone.today(clock.now())
    year, month = year or today.year, month or today.month
    async with ledger.resources.database.read() as connection:
        body = await summarise.summary(connection, reader.scope, ledger.zone.month(year, month))
    head = {"period": "monthly", "date": f"{year:04d}-{month:02d}", "year": year, "month": month}
    return Json({**head, **body, "currency": ledger.currency})


@router.get("/stats/session/{session_id:path}")
async def session(ledger: LedgerHere, reader: ReaderHere, session_id: str) -> Response:
    """All calls of a session."""
    async with ledger.resources.database.read() as connection:
        return Json(await summarise.session(connection, reader.scope, session_id))


@router.get("/top_users")
async def top_users(
    ledger: LedgerHere,
    reader: ReaderHere,
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
    days: Annotated[int, Query(ge=1, le=90)] = 7,
) -> Response:
    """The users who cost most."""

    async def make(connection: AsyncConnection) -> Any:
        return await summarise.top_users(connection, reader.scope, ledger.zone, clock.now(), days=days, limit=limit)

    return await kept(ledger, ("top_users", reader.scope, days, limit), make)


@router.get("/cost_trend")
async def cost_trend(
    ledger: LedgerHere, reader: ReaderHere, days: Annotated[int, Query(ge=1, le=365)] = 30
) -> Response:
    """The cost of every day."""
    async with ledger.resources.database.read() as connection:
        return Json(await summarise.cost_trend(connection, reader.scope, ledger.zone, clock.now(), days=days))


@router.get("/breakdown")
async def breakdown(
    ledger: LedgerHere, reader: ReaderHere, by: By = "model", days: Annotated[int, Query(ge=1, le=90)] = 7
) -> Response:
    """Every name of one dimension, the dearest first."""
    span = ledger.zone.last_days(days, clock.now())

    async def make(connection: AsyncConnection) -> Any:
        data = await summarise.breakdown(connection, reader.scope, by, span)
        return {"by": by, "period_days": days, "data": data}

    return await kept(ledger, ("breakdown", reader.scope, by, days), make)
