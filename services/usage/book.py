"""Booking: one transaction takes a batch in, adds it up and decides alerts, or nothing of it happens."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec
import structlog
from opentelemetry.trace import SpanKind
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.usage import metrics
from services.usage.alerts import Alerts
from services.usage.event import Event, Poison, event_of
from services.usage.prices import Prices
from services.usage.rollup import Rollup
from services.usage.store import ledger
from services.usage.zone import zone_of
from shared import clock, telemetry
from shared.config import LiveConfig
from shared.database import Database
from shared.errors import DatabaseUnavailable, Unprocessable
from shared.messages.envelope import decode
from shared.messages.router import AttemptEnded

log = structlog.get_logger(__name__)

_MICRO = 1_000_000
# What Postgres answers when two transactions met badly; trying again is right.
_TRY_AGAIN = {"40001", "40P01", "55P03"}
# Data exceptions, violated constraints, and values beyond the server's limits.
_CONTENT = {"22", "23", "54"}
_ATTEMPTS = 5
# More events are worked out in a thread: a second of adding up must not stop answers that share this process.
_FEW = 50

BOOKED = "booked"


@dataclass(slots=True)
class Booked:
    """What became of a batch."""

    events: list[Event] = field(default_factory=list)
    accepted: set[str] = field(default_factory=set)
    duplicates: int = 0
    quarantined: int = 0

    def plus(self, other: "Booked") -> "Booked":
        """Both together."""
        return Booked(
            self.events + other.events,
            self.accepted | other.accepted,
            self.duplicates + other.duplicates,
            self.quarantined + other.quarantined,
        )


class Book:
    """The ledger's one writer."""

    def __init__(
        self, database: Database, config: LiveConfig, prices: Prices, alerts: Alerts, told: Callable[[Booked], None]
    ) -> None:
        self._database = database
        self._config = config
        self._prices = prices
        self._alerts = alerts
        self._told = told

    async def book_messages(self, bodies: Sequence[bytes]) -> Booked:
        """Book messages as they came from the bus; what can never be booked is set aside with its reason."""
        began = clock.now()
        ended: list[AttemptEnded] = []
        poison: list[tuple[bytes, str]] = []
        for body in bodies:
            try:
                ended.append(decode(body, AttemptEnded))
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                poison.append((body, str(error)))
        booked = await self._halving(ended, poison)
        if booked.quarantined:
            log.error("events_quarantined", count=booked.quarantined)
        if telemetry.enabled():
            _trace(ended, began)
        return booked

    async def book(self, ended: Sequence[AttemptEnded]) -> Booked:
        """Book events or refuse all of them; raises Unprocessable and DatabaseUnavailable."""
        _, bad = self._events(ended, clock.now())
        if bad:
            raise Unprocessable(f"An event cannot be booked: {bad[0][1]}.")
        try:
            return await self._transaction(ended, [])
        except DBAPIError as error:
            if _is_about_content(error):
                raise Unprocessable("The ledger's sums cannot hold these events.") from error
            raise DatabaseUnavailable from error

    async def _halving(self, ended: Sequence[AttemptEnded], poison: Sequence[tuple[bytes, str]]) -> Booked:
        """Book all at once; when the database refuses the content, find the culprit by halving."""
        try:
            return await self._transaction(ended, poison)
        except DBAPIError as error:
            if not _is_about_content(error):
                # A full disk or a stopping server says nothing about the events: hold them and try again.
                raise DatabaseUnavailable from error
            if len(ended) == 1:
                reason = f"the database refuses it: {type(error.orig).__name__}"
                return await self._transaction([], [*poison, (msgspec.json.encode(ended[0]), reason)])
            if not ended:
                raise
        middle = len(ended) // 2
        first = await self._halving(ended[:middle], poison)
        return first.plus(await self._halving(ended[middle:], []))

    async def _transaction(self, ended: Sequence[AttemptEnded], poison: Sequence[tuple[bytes, str]]) -> Booked:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                booked = await self._once(ended, poison)
            except (DBAPIError, DatabaseUnavailable) as error:
                if attempt == _ATTEMPTS or _state_of(error) not in _TRY_AGAIN:
                    raise
            else:
                self._told(booked)
                return booked
        raise AssertionError("unreachable")

    async def _once(self, ended: Sequence[AttemptEnded], poison: Sequence[tuple[bytes, str]]) -> Booked:
        now, started = clock.now(), clock.monotonic()
        # Worked out before the lock is taken, as if nothing came twice: meanwhile another batch may be written.
        if len(ended) > _FEW:
            events, bad, rollup = await asyncio.to_thread(self._worked_out, ended, now)
        else:
            events, bad, rollup = self._worked_out(ended, now)
        async with self._database.begin() as connection:
            await ledger.lock(connection)
            fresh_ids = await ledger.insert_events(connection, events)
            fresh = [event for event in events if event.event_id in fresh_ids]
            if len(fresh) < len(events):
                rollup = self._added_up(fresh)
            await ledger.roll_up(connection, rollup)
            await ledger.see_sequences(connection, _numbers(ended), round(now * _MICRO))
            await ledger.set_aside(connection, [*poison, *bad], round(now * _MICRO))
            await self._alerts.decide(connection, fresh, now)
            lags = _lags(ended, clock.now())
            if fresh:
                await self._remember(connection, fresh, max(lags, default=0.0), now)
        for lag in lags:
            metrics.LAG.observe(lag)
        metrics.BATCH_SECONDS.observe(clock.monotonic() - started)
        return Booked(fresh, fresh_ids, len(ended) - len(bad) - len(fresh), len(poison) + len(bad))

    def _worked_out(
        self, ended: Sequence[AttemptEnded], now: float
    ) -> tuple[list[Event], list[tuple[bytes, str]], Rollup]:
        events, bad = self._events(ended, now)
        return events, bad, self._added_up(events)

    def _added_up(self, events: Sequence[Event]) -> Rollup:
        rollup = Rollup(zone_of(self._config.current.usage.timezone))
        for event in events:
            rollup.add(event)
        rollup.add_days()
        return rollup

    def _events(self, ended: Sequence[AttemptEnded], now: float) -> tuple[list[Event], list[tuple[bytes, str]]]:
        """Rows for all attempts, each id once, in the order of their ids."""
        currency, book = self._config.current.usage.currency, self._prices.book
        found: dict[str, Event] = {}
        bad: list[tuple[bytes, str]] = []
        for item in ended:
            try:
                event = event_of(item, book, currency, now)
            except (Poison, ValueError) as error:
                bad.append((msgspec.json.encode(item), str(error)))
            else:
                found.setdefault(event.event_id, event)
        return [found[event_id] for event_id in sorted(found)], bad

    async def _remember(self, connection: AsyncConnection, fresh: Sequence[Event], lag: float, now: float) -> None:
        """Keep when and what was booked last: freshness is told from it by every replica."""
        last = await ledger.read_state(connection, BOOKED) or {"events": 0, "last_event_us": 0}
        await ledger.write_state(
            connection,
            BOOKED,
            {
                "events": last["events"] + len(fresh),
                "at_us": round(now * _MICRO),
                "lag_seconds": round(lag, 3),
                "last_event_us": max(last["last_event_us"], max(event.at_us for event in fresh)),
            },
        )


def _state_of(error: BaseException) -> str | None:
    """What the database called it, also where it is told as being away."""
    cause = error if isinstance(error, DBAPIError) else error.__cause__
    return getattr(cause.orig, "sqlstate", None) if isinstance(cause, DBAPIError) else None


def _is_about_content(error: DBAPIError) -> bool:
    """Whether the database refuses what it was given, rather than to work."""
    code = getattr(error.orig, "sqlstate", None)
    if code is not None:
        return str(code)[:2] in _CONTENT
    return isinstance(error, DataError | IntegrityError | InterfaceError)


def _lags(ended: Sequence[AttemptEnded], now: float) -> list[float]:
    """Seconds from the end of each attempt until now; records of callers have no such thing."""
    return [max(0.0, now - item.timestamp - (item.duration_ms or 0) / 1000) for item in ended if item.producer]


def _numbers(ended: Sequence[AttemptEnded]) -> dict[str, list[int]]:
    numbers: dict[str, list[int]] = {}
    for item in ended:
        if item.producer:
            numbers.setdefault(item.producer, []).append(item.sequence)
    return numbers


def _trace(ended: Sequence[AttemptEnded], began: float) -> None:
    """Tell every attempt's trace that it is in the ledger; the events of a batch come of many traces."""
    for each in ended:
        if each.traceparent is not None:
            attributes = {"tollway.event_id": each.event_id, "tollway.request_id": each.request_id}
            telemetry.begin(
                "book", parent=each.traceparent, kind=SpanKind.CONSUMER, attributes=attributes, began_at=began
            ).end()
