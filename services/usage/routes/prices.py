"""The price table: shown, added to, and a period priced again."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from services.usage.answer import Json
from services.usage.ledger import Ledger
from services.usage.record import refusal
from services.usage.routes.edge import LedgerHere, ReaderHere
from services.usage.store import ledger as state
from services.usage.store import prices as store
from services.usage.store import rollups
from services.usage.summarise import dearest
from shared import clock
from shared.errors import BadRequest, Unprocessable
from shared.money import decimal_of
from shared.prices import Price, flat
from shared.rates import Rate, checked

router = APIRouter(prefix="/api/ai_usage", tags=["usage"])

_MICRO = 1_000_000
_SEEN_DAYS = 30
_Currency = Annotated[str, msgspec.Meta(pattern="^[A-Za-z]{3}$")]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
_Amount = Decimal | None


class NewPrice(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A price per 1,000 tokens."""

    model: _Name
    input: Decimal
    output: Decimal
    cache_read: _Amount = None
    cache_write: _Amount = None
    reasoning: _Amount = None
    currency: _Currency | None = None
    provider: _Name | None = None
    display_name: _Name | None = None
    valid_from: date | float | None = None


class NewRate(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """An exchange rate from a day on."""

    source: _Currency = msgspec.field(name="from")
    target: _Currency = msgspec.field(name="to")
    rate: Decimal
    valid_from: date | None = None


class Period(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to price again; nothing is written unless `dry_run` is false."""

    first: date = msgspec.field(name="from")
    last: date = msgspec.field(name="to")
    model: _Name | None = None
    dry_run: bool = True


@router.get("/prices")
async def prices(ledger: LedgerHere, reader: ReaderHere) -> Response:
    """Prices in force per 1,000 tokens, models without one, and exchange rates."""
    now = clock.now()
    async with ledger.resources.database.read() as connection:
        await ledger.prices.refresh_in(connection)
        seen = await rollups.by_name(connection, reader.scope, "model", ledger.zone.last_days(_SEEN_DAYS, now))
    rows = ledger.prices.rows(((None, name) for name in seen if name), now)
    unpriced = [
        {"provider": None, "model": name or None, "events": sums.unpriced, "tokens": sums.tokens, "last_at": None}
        for name, sums in dearest(seen)
        if sums.unpriced
    ]
    rates = [
        {
            "from": rate.source,
            "to": rate.target,
            "rate": Decimal(rate.value),
            "date": rate.valid_from,
            "source": rate.origin,
        }
        for rate in ledger.prices.book.rates.rows
    ]
    shown = [_shown(ledger, price) for price in rows]
    told = {"prices": shown, "unpriced": unpriced, "unpriced_days": _SEEN_DAYS, "rates": rates}
    return Json({**told, "per": 1000, "currency": ledger.currency})


@router.post("/prices")
async def add_price(ledger: LedgerHere, reader: ReaderHere, request: Request) -> Response:
    """Add a price; it holds for what is booked from now on, earlier events keep theirs until re-priced."""
    reader.require_admin()
    new = _decoded(await request.body(), NewPrice)
    now = clock.now()
    valid_from = _moment(ledger, new.valid_from)
    units = {
        "input": new.input, "output": new.output, "cache_read": new.cache_read,
        "cache_write": new.cache_write, "reasoning": new.reasoning,
    }  # fmt: skip
    try:
        currency = (new.currency or ledger.currency).upper()
        price = flat(
            new.model, currency, units, provider=new.provider, display_name=new.display_name, valid_from=valid_from
        )
    except ValueError as error:
        raise Unprocessable(str(error), param="input") from error
    async with ledger.resources.database.begin() as connection:
        number = await store.add_price(connection, price, round(now * _MICRO))
    await ledger.prices.refresh()
    row = msgspec.structs.replace(price, source="ledger", version=f"#{number}")
    return Json(_shown(ledger, row), status_code=201)


@router.post("/rates")
async def add_rate(ledger: LedgerHere, reader: ReaderHere, request: Request) -> Response:
    """Add an exchange rate from a day on."""
    reader.require_admin()
    new = _decoded(await request.body(), NewRate)
    day = new.valid_from or ledger.zone.today(clock.now())
    try:
        value = checked(new.rate)
    except ValueError as error:
        raise Unprocessable(str(error), param="rate") from error
    rate = Rate(
        source=new.source.upper(), target=new.target.upper(), value=value, valid_from=day.isoformat(), origin="ledger"
    )
    async with ledger.resources.database.begin() as connection:
        await store.put_rate(connection, rate)
    await ledger.prices.refresh()
    told = {"from": rate.source, "to": rate.target, "rate": Decimal(value), "date": rate.valid_from, "source": "ledger"}
    return Json(told, status_code=201)


@router.post("/prices/reprice")
async def reprice(ledger: LedgerHere, reader: ReaderHere, request: Request) -> Response:
    """What the prices of now would change in a period; with `dry_run: false` it is corrected by signed entries."""
    reader.require_admin()
    period = _decoded(await request.body(), Period)
    if period.first > period.last or period.first.year < 1971 or period.last.year > 9000:
        raise Unprocessable("`from` must not be after `to`.", param="from")
    span = ledger.zone.days(period.first, period.last)
    body = await ledger.repricing.run(span, period.model, dry_run=period.dry_run)
    if not period.dry_run:
        ledger.live.touch()
        async with ledger.resources.database.begin() as connection:
            told = {"run_id": body["run_id"], "at_us": round(clock.now() * _MICRO), "changed": body["changed"]}
            await state.write_state(connection, "repriced", told)
    return Json(body)


@router.get("/prices/corrections")
async def corrections(
    ledger: LedgerHere,
    reader: ReaderHere,
    run_id: Annotated[str | None, Query(max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """What re-pricings changed, event by event and signed, the newest first."""
    reader.require_all()
    async with ledger.resources.database.read() as connection:
        rows = await store.last_corrections(connection, limit, run_id)
    return Json({"corrections": [_corrected(ledger, row) for row in rows]})


def _corrected(ledger: Ledger, row: Any) -> dict[str, Any]:
    return {
        "run_id": row.run_id,
        "event_id": str(row.event_id),
        "model": row.model or row.requested_model,
        "event_at": None if row.event_us is None else ledger.zone.iso(row.event_us / _MICRO),
        "booked_at": ledger.zone.iso(row.booked_us / _MICRO),
        "counts_on": ledger.zone.local(row.at_us / _MICRO).date().isoformat(),
        "amount": decimal_of(row.nano),
        "currency": row.currency,
        "price": row.price_version,
    }


def _shown(ledger: Ledger, price: Price) -> dict[str, Any]:
    tier = price.tiers[0]
    row: dict[str, Any] = {
        "provider": price.provider,
        "model": price.model,
        "display_name": price.display_name,
        "currency": price.currency,
    }
    for unit in ("input", "output", "cache_read", "cache_write", "reasoning"):
        row[unit] = _per_1k(getattr(tier, unit))
    return {
        **row,
        "tiers": [
            {"over": step.over, "input": _per_1k(step.input), "output": _per_1k(step.output)}
            for step in price.tiers[1:]
        ],
        "valid_from": None if price.valid_from is None else ledger.zone.iso(price.valid_from),
        "valid_to": None if price.valid_to is None else ledger.zone.iso(price.valid_to),
        "source": price.source,
        "version": price.version,
    }


def _per_1k(per_million: int | None) -> Decimal | None:
    if per_million is None:
        return None
    value = Decimal(per_million).scaleb(-12)
    return decimal_of(per_million // 1000) if per_million % 1000 == 0 else Decimal(format(value, "f"))


def _moment(ledger: Ledger, value: date | float | None) -> float | None:
    if isinstance(value, date):
        if not 1971 <= value.year <= 9000:
            raise Unprocessable("valid_from is out of range", param="valid_from")
        return float(ledger.zone.start_of(value))
    if value is not None and not 0 <= value < 4e9:
        raise Unprocessable("valid_from is out of range", param="valid_from")
    return value


def _decoded(body: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise refusal(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"The body is not valid JSON: {error}") from error
