"""Pricing a period again: first what it would change, then signed corrections; the events themselves stay as booked.

A month that is closed stays as it was told: what its events cost more or less is booked now, as events of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from services.usage.event import CORRECTION, Event, event_of_row, priced, to_base
from services.usage.prices import Prices
from services.usage.rollup import Rollup
from services.usage.store import events as store
from services.usage.store import ledger
from services.usage.store.events import Position
from services.usage.tables import corrections
from services.usage.zone import DAY, Span, Zone, zone_of
from shared import clock, ids
from shared.config import LiveConfig
from shared.database import Database
from shared.money import decimal_of

_MICRO = 1_000_000
_GIVEN = "given"
_LABELS = (
    "request_id", "attempt", "key_id", "user_id", "session_id", "anchor_id", "function", "provider", "model",
    "requested_model",
)  # fmt: skip


@dataclass(slots=True)
class Entry:
    """A signed correction of one event."""

    event: Event
    currency: str
    nano: int
    base_nano: int
    priced: int
    price_version: str | None


@dataclass
class Effect:
    """What a re-pricing changes, by model, in the reporting currency."""

    events: int = 0
    changed: int = 0
    moved: int = 0
    models: dict[str, list[int]] = field(default_factory=dict)

    def add(self, event: Event, before: int, after: int, *, changed: bool) -> None:
        """Count one event."""
        self.events += 1
        self.changed += changed
        row = self.models.setdefault(event.model or "", [0, 0, 0])
        row[0] += changed
        row[1] += before
        row[2] += after


class Repricing:
    """Runs in chunks of time order, each its own transaction; running it again changes nothing more."""

    def __init__(self, database: Database, config: LiveConfig, prices: Prices) -> None:
        self._database = database
        self._config = config
        self._prices = prices

    async def run(self, span: Span, model: str | None, *, dry_run: bool) -> dict[str, Any]:
        """Price the events of a span by the book of now."""
        await self._prices.refresh()
        effect, run_id = Effect(), ids.new_id()
        closed = closed_before(self._zone, self._config.current.usage.months_close_after_days, clock.now())
        after: Position | None = None
        while True:
            after = await self._chunk(span, after, model, effect, None if dry_run else run_id, closed)
            if after is None:
                return self._told(effect, run_id, closed, dry_run=dry_run)

    @property
    def _zone(self) -> Zone:
        return zone_of(self._config.current.usage.timezone)

    async def _chunk(
        self, span: Span, after: Position | None, model: str | None, effect: Effect, run_id: str | None, closed: int
    ) -> Position | None:
        """One transaction's worth; where it ended, or None when nothing was left."""
        opened = self._database.read() if run_id is None else self._database.begin()
        async with opened as connection:
            if run_id is not None:
                await ledger.lock(connection)
            rows = await store.some(connection, span.start * _MICRO, span.end * _MICRO, after)
            known = await store.corrected(connection, [str(row.event_id) for row in rows])
            entries: list[Entry] = []
            for row in rows:
                event = event_of_row(row)
                found = self._entries(event, known.get(event.event_id, ()), model, effect)
                effect.moved += bool(found) and event.at < closed
                entries += found
            if run_id is not None and entries:
                await self._write(connection, entries, run_id, closed)
        return (rows[-1].at_us, str(rows[-1].event_id)) if rows else None

    def _entries(self, event: Event, known: Sequence[Any], model: str | None, effect: Effect) -> list[Entry]:
        if event.kind != "model" or event.price_version == _GIVEN:
            return []
        if model is not None and model not in (event.model, event.requested_model):
            return []
        currency = self._config.current.usage.currency
        now_nano, now_currency, now_base, unpriced = _standing(event, known)
        fresh = msgspec.structs.replace(event, cost_nano=None, currency=None, base_nano=None, unpriced=0)
        priced(fresh, self._prices.book, currency)
        to_base(fresh, self._prices.book, currency)
        if fresh.cost_nano is None or fresh.currency is None:
            effect.add(event, now_base, now_base, changed=False)
            return []
        base = fresh.base_nano or 0
        same = (fresh.cost_nano, fresh.currency) == (now_nano, now_currency) and bool(fresh.unpriced) == unpriced
        effect.add(event, now_base, base if not same else now_base, changed=not same)
        if same:
            return []
        newly = int(unpriced and not fresh.unpriced)
        if now_nano is None or now_currency is None or now_currency == fresh.currency:
            nano, delta = fresh.cost_nano - (now_nano or 0), base - now_base
            return [Entry(event, fresh.currency, nano, delta, newly, fresh.price_version)]
        return [
            Entry(event, now_currency, -now_nano, -now_base, 0, event.price_version),
            Entry(event, fresh.currency, fresh.cost_nano, base, newly, fresh.price_version),
        ]

    async def _write(self, connection: Any, entries: Sequence[Entry], run_id: str, closed: int) -> None:
        rollup = Rollup(self._zone)
        now_us = round(clock.now() * _MICRO)
        rows, moved = [], []
        for entry in entries:
            at_us = entry.event.at_us
            if entry.event.at < closed:
                at_us = now_us
                moved.append(self._moved(entry, now_us))
                rollup.add(moved[-1])
            else:
                rollup.correct(entry.event, entry.base_nano, entry.priced)
            rows.append(
                {
                    "run_id": run_id,
                    "event_id": entry.event.event_id,
                    "at_us": at_us,
                    "currency": entry.currency,
                    "nano": entry.nano,
                    "base_nano": entry.base_nano,
                    "priced": entry.priced,
                    "price_version": entry.price_version,
                    "booked_us": now_us,
                }
            )
        await connection.execute(corrections.insert(), rows)
        await ledger.insert_events(connection, moved)
        rollup.add_days()
        await ledger.roll_up(connection, rollup)

    def _moved(self, entry: Entry, now_us: int) -> Event:
        """The event that says in the open month what one of a closed month costs more or less."""
        event = Event(
            event_id=ids.new_id(),
            at_us=now_us,
            kind=CORRECTION,
            cost_nano=entry.nano,
            currency=entry.currency,
            price_version=entry.price_version,
            booked_us=now_us,
            **{name: getattr(entry.event, name) for name in _LABELS},
        )
        to_base(event, self._prices.book, self._config.current.usage.currency)
        return event

    def _told(self, effect: Effect, run_id: str, closed: int, *, dry_run: bool) -> dict[str, Any]:
        before = sum(row[1] for row in effect.models.values())
        after = sum(row[2] for row in effect.models.values())
        return {
            "dry_run": dry_run,
            "run_id": None if dry_run else run_id,
            "events": effect.events,
            "changed": effect.changed,
            "closed_before": self._zone.local(closed).date().isoformat(),
            "of_closed_months": effect.moved,
            "before": decimal_of(before),
            "after": decimal_of(after),
            "delta": decimal_of(after - before),
            "currency": self._config.current.usage.currency,
            "rows": [
                {"model": name or None, "events": row[0], "before": decimal_of(row[1]), "after": decimal_of(row[2])}
                for name, row in sorted(effect.models.items(), key=lambda item: -abs(item[1][2] - item[1][1]))
                if row[0]
            ],
        }


def closed_before(zone: Zone, days: int, now: float) -> int:
    """The moment before which all months are closed: they are so a number of days after their end."""
    return zone.start_of(zone.today(now - days * DAY).replace(day=1))


def _standing(event: Event, known: Sequence[Any]) -> tuple[int | None, str | None, int, bool]:
    """What the event costs now: nano-units and currency, the same in the reporting one, and whether it is unpriced."""
    amounts = {} if event.cost_nano is None or event.currency is None else {event.currency: event.cost_nano}
    base, unpriced = event.base_nano or 0, bool(event.unpriced)
    currency = event.currency
    for entry in known:
        amounts[entry.currency] = amounts.get(entry.currency, 0) + entry.nano
        base += entry.base_nano
        unpriced = unpriced and not entry.priced
        currency = entry.currency
    left = {name: nano for name, nano in amounts.items() if nano}
    if left:
        currency, nano = next(iter(left.items()))
        return nano, currency, base, unpriced
    return (amounts.get(currency) if currency else None), currency, base, unpriced
