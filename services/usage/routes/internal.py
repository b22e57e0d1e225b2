"""What the gateway and the router ask: the prices in force, and what a key has spent."""

from datetime import timedelta
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from services.usage.answer import Json
from services.usage.routes.edge import LedgerHere, client_of
from services.usage.store import rollups
from services.usage.zone import last_of_month
from shared import clock

router = APIRouter(prefix="/internal", include_in_schema=False)

_SEEN_DAYS = 2


@router.get("/prices")
async def prices(ledger: LedgerHere, request: Request) -> Response:
    """The rows of the price book and the exchange rates; 304 when the caller has exactly these."""
    ledger.access.require_internal(request.headers, client_of(request))
    now = clock.now()
    async with ledger.resources.database.read() as connection:
        span = ledger.zone.last_days(_SEEN_DAYS, now)
        seen = await rollups.by_name(connection, "", "model", span)
    rows = ledger.prices.rows(((None, name) for name in seen if name), now)
    version = ledger.prices.version(rows)
    tag = f'"{version}"'
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"etag": tag})
    body = {
        "version": version,
        "currency": ledger.currency,
        "rows": [row.to_row() for row in rows],
        "rates": msgspec.to_builtins(ledger.prices.book.rates.rows),
    }
    return Json(body, headers={"etag": tag})


@router.get("/spend")
async def spend(ledger: LedgerHere, request: Request, key_id: Annotated[str, Query(min_length=1)]) -> Response:
    """What a key has spent today and this month, in nano-units of the reporting currency."""
    ledger.access.require_internal(request.headers, client_of(request))
    zone = ledger.zone
    today = zone.today(clock.now())
    spans = {
        "day": zone.days(today, today + timedelta(0)),
        "month": zone.days(today.replace(day=1), last_of_month(today)),
    }
    body: dict[str, object] = {"key_id": key_id, "currency": ledger.currency}
    async with ledger.resources.database.read() as connection:
        for name, span in spans.items():
            found = await rollups.by_name(connection, key_id, "total", span, ["model"])
            nano = found["model"].cost_nano if found else 0
            body[name] = {"start": span.start, "nano": nano}
    return Json(body)
