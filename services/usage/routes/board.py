"""What the dashboard asks: its first screen, explorations, sessions, and what may come."""

import asyncio
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import Response

from services.usage import dashboard as board
from services.usage import explore as exploring
from services.usage import outlook, trust
from services.usage.answer import Json, event_as_read
from services.usage.question import DIMENSIONS, Filter, filter_of
from services.usage.routes.edge import LedgerHere, ReaderHere, kept, period, reader_of
from services.usage.store import events, rollups
from services.usage.sums import NONE
from shared import clock
from shared.errors import DatabaseUnavailable, Unauthenticated

router = APIRouter(prefix="/api/ai_usage", tags=["usage"])

_MICRO = 1_000_000
_Names = Annotated[list[str] | None, Query(max_length=20)]
_MOST_TIMELINE = 1000


def wanted_of(
    reader: ReaderHere,
    model: _Names = None,
    function: _Names = None,
    user: _Names = None,
    anchor: _Names = None,
    provider: _Names = None,
    key: _Names = None,
) -> Filter:
    """The filter of a request."""
    values = dict(zip(DIMENSIONS, (model, function, user, anchor, provider), strict=True))
    return filter_of(reader, key or (), {name: tuple(names or ()) for name, names in values.items()})


Wanted = Annotated[Filter, Depends(wanted_of)]


@router.get("/dashboard")
async def dashboard(
    ledger: LedgerHere, reader: ReaderHere, wanted: Wanted, days: Annotated[int, Query(ge=1, le=90)] = 7
) -> Response:
    """Everything the first screen shows."""
    view = board.look(ledger, wanted, days, sees_all=reader.sees_all)

    return await kept(ledger, (wanted, days, reader.sees_all), lambda connection: board.dashboard(connection, view))


class Asked:
    """The range and shape of an exploration."""

    def __init__(
        self,
        first: Annotated[date | None, Query(alias="from")] = None,
        last: Annotated[date | None, Query(alias="to")] = None,
        bucket: Annotated[Literal["auto", "hour", "day", "week", "month"], Query()] = "auto",
        grain: Annotated[Literal["auto", "hour", "day", "week", "month"] | None, Query()] = None,
        days: Annotated[int, Query(ge=1, le=3660)] = 7,
        compare: Annotated[bool, Query()] = False,  # noqa: FBT002 -- a query parameter is always named
        top: Annotated[int, Query(ge=1, le=50)] = 8,
    ) -> None:
        self.first, self.last, self.bucket = first, last, grain or bucket
        self.days, self.compare, self.top = days, compare, top


@router.get("/explore")
async def explore(
    ledger: LedgerHere,
    wanted: Wanted,
    shape: Annotated[Asked, Depends()],
    measure: exploring.Measure = "cost",
    by: exploring.By = "model",
) -> Response:
    """Any measure by any dimension over any days."""
    now = clock.now()
    first, last = period(ledger, shape.first, shape.last, shape.days, exploring.MOST_DAYS)
    chosen = exploring.bucket_for(first, last, shape.bucket)
    asked = exploring.Exploration(measure, by, first, last, chosen, shape.compare, shape.top)

    async def make(connection: AsyncConnection) -> Any:
        return await exploring.explore(connection, ledger.zone, ledger.currency, wanted, asked, now)

    return await kept(ledger, (wanted, asked), make)


@router.get("/sessions")
async def sessions(
    ledger: LedgerHere,
    wanted: Wanted,
    days: Annotated[int, Query(ge=1, le=90)] = 7,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    q: Annotated[str, Query(max_length=512)] = "",
) -> Response:
    """Sessions seen in the last days, the newest first."""
    since = ledger.zone.last_days(days, clock.now()).start
    async with ledger.resources.database.read() as connection:
        seen = await rollups.seen_sessions(connection, wanted.scope, since * _MICRO, q, limit)
        sums = await rollups.session_sums(connection, wanted.scope, [row[0] for row in seen])
    rows = []
    for session_id, user_id, first_us, last_us in seen:
        own = sums.get(session_id, NONE)
        rows.append(
            {
                "session_id": session_id,
                "user_id": user_id,
                "calls": own.calls,
                "tokens": own.tokens,
                "cost": own.cost,
                "success_rate": own.success_rate,
                "first_at": ledger.zone.iso(first_us / _MICRO),
                "last_at": ledger.zone.iso(last_us / _MICRO),
            }
        )
    return Json({"period_days": days, "sessions": rows})


@router.get("/session/{session_id:path}/timeline")
async def timeline(
    ledger: LedgerHere,
    reader: ReaderHere,
    session_id: Annotated[str, Path(max_length=512)],
    limit: Annotated[int, Query(ge=1, le=_MOST_TIMELINE)] = 200,
) -> Response:
    """The calls of a session in order, each with what it cost."""
    async with ledger.resources.database.read() as connection:
        rows = (await events.page(connection, limit, key_id=reader.key_id, session_id=session_id))[::-1]
        corrections = await events.corrected(connection, [str(row.event_id) for row in rows])
        kinds = {
            kind: await rollups.all_time(connection, reader.scope, dimension, session_id)
            for kind, dimension in (("model", "session"), ("tool", "session tool"), ("cache", "session cache"))
        }
    first_us = rows[0].at_us if rows else 0
    shown = []
    for row in rows:
        event = event_as_read(row, corrections.get(str(row.event_id), ()), ledger.zone)
        shown.append({**event, "offset_ms": round((row.at_us - first_us) / 1000, 3)})
    return Json(
        {
            "session_id": session_id,
            "calls": kinds["model"].calls,
            "tokens": kinds["model"].tokens,
            "cost": kinds["model"].cost,
            "currency": ledger.currency,
            "tool_calls": kinds["tool"].calls,
            "cache_hits": kinds["cache"].calls,
            "first_at": shown[0]["time"] if shown else None,
            "last_at": shown[-1]["time"] if shown else None,
            "events": shown,
        }
    )


@router.get("/forecast")
async def forecast(ledger: LedgerHere, wanted: Wanted) -> Response:
    """The month's cost with its interval."""
    return await kept(
        ledger, ("forecast", wanted.scope), lambda connection: outlook.forecast(connection, ledger, wanted.scope)
    )


@router.get("/advice")
async def advice(ledger: LedgerHere, wanted: Wanted) -> Response:
    """Ways to spend less; they overlap, so they are not added up."""

    async def make(connection: AsyncConnection) -> Any:
        return {"advice": await outlook.advice(connection, ledger, wanted.scope), "currency": ledger.currency}

    return await kept(ledger, ("advice", wanted.scope), make)


@router.get("/budgets")
async def budgets(ledger: LedgerHere, reader: ReaderHere) -> Response:
    """The configured limits, what is spent of them, and the last alerts."""
    if not reader.sees_all:
        return Json({"budgets": [], "alerts": []})
    async with ledger.resources.database.read() as connection:
        rows = await outlook.budgets(connection, ledger)
        feed = await outlook.alerts(connection, ledger, 20)
    return Json({"budgets": rows, "alerts": feed})


@router.get("/alerts")
async def alerts(ledger: LedgerHere, reader: ReaderHere, limit: Annotated[int, Query(ge=1, le=500)] = 50) -> Response:
    """The last alerts, the newest first."""
    reader.require_all()
    async with ledger.resources.database.read() as connection:
        return Json({"alerts": await outlook.alerts(connection, ledger, limit)})


@router.get("/health")
async def health(ledger: LedgerHere, reader: ReaderHere) -> Response:
    """Whether the numbers can be trusted."""
    try:
        async with asyncio.timeout(10), ledger.resources.database.read() as connection:
            return Json(await trust.health(connection, ledger, reader.scope, sees_all=reader.sees_all))
    except (TimeoutError, DatabaseUnavailable):
        # Whoever asks for the ledger's health wants to know of just this.
        return Json(await trust.blind(ledger, sees_all=reader.sees_all))


@router.get("/whoami")
async def whoami(request: Request) -> Response:
    """Who is asking; role null is nobody."""
    try:
        reader = None if "x-tollway-nobody" in request.headers else reader_of(request)
    except Unauthenticated:
        reader = None
    return Json({"role": reader and reader.role, "key_id": reader and reader.key_id})
