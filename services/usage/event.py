"""An event of the ledger: an attempt that ended, made storable and priced. Pure."""

import hashlib
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import msgspec

from shared import ids
from shared.messages.router import AttemptEnded
from shared.money import nano_of
from shared.prices import PriceBook
from shared.wire.usage import TokenUsage

KINDS = ("model", "tool", "cache")
# Written by a re-pricing alone: what an event of a closed month costs more or less, signed, in the open month.
CORRECTION = "correction"
STATUSES = ("ok", "error", "aborted", "interrupted")
SOURCES = ("provider", "estimated", "none")
MOST_TOKENS = 1_000_000_000_000
# Ten million of a currency for one call: sums of hundreds of such fit a 64-bit integer.
MOST_NANO = 10**16
MOST_TEXT = 512
MOST_ERROR = 2000
_MICRO = 1_000_000
# 0001-01-01 is meaningless here; this is 1970 to 2100 in seconds.
_LATEST = 4_102_444_800


class Poison(ValueError):
    """This message can never be booked."""


class Event(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One row of the ledger; the fields are the columns, and their defaults the columns' own."""

    event_id: str
    at_us: int
    request_id: str
    attempt: int
    kind: str
    key_id: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    anchor_id: str | None = None
    function: str | None = None
    provider: str | None = None
    model: str | None = None
    requested_model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_nano: int | None = None
    currency: str | None = None
    base_nano: int | None = None
    unpriced: int = 0
    price_version: str | None = None
    usage_source: str = "none"
    duration_ms: float | None = None
    ttft_ms: float | None = None
    status: str = "ok"
    error_msg: str | None = None
    booked_us: int = 0

    @property
    def at(self) -> float:
        """When it happened, in Unix seconds."""
        return self.at_us / _MICRO

    @property
    def usage(self) -> TokenUsage:
        """The tokens as the price book takes them."""
        return TokenUsage(
            self.input_tokens,
            self.output_tokens,
            self.cache_read_tokens,
            self.cache_write_tokens,
            self.reasoning_tokens,
        )


def event_of(ended: AttemptEnded, book: PriceBook, currency: str, now: float) -> Event:
    """The row for an attempt that ended, priced as of its own time; raises Poison."""
    event_id = _checked(ended)
    named, usage = ended.named, ended.usage or TokenUsage()
    event = Event(
        event_id=event_id,
        at_us=round(ended.timestamp * _MICRO),
        request_id=_text(ended.request_id) or "",
        attempt=ended.attempt,
        kind=ended.kind,
        key_id=_text(named.key_id),
        user_id=_text(named.user_id),
        session_id=_text(named.session_id),
        anchor_id=_text(named.anchor_id),
        function=_text(named.function),
        provider=_text(ended.provider),
        model=_text(ended.model),
        requested_model=_text(ended.requested_model),
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        total_tokens=ended.total_tokens if usage.total_tokens is None else usage.total_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        usage_source=ended.usage_source,
        duration_ms=_milliseconds(ended.duration_ms),
        ttft_ms=_milliseconds(ended.ttft_ms),
        status=ended.status,
        error_msg=_text(ended.error_msg, MOST_ERROR),
        booked_us=round(now * _MICRO),
    )
    if ended.cost is not None:
        _given(event, ended.cost, ended.currency or currency)
    else:
        priced(event, book, currency)
    to_base(event, book, currency)
    if max(event.cost_nano or 0, event.base_nano or 0) > MOST_NANO:
        raise Poison("the cost is out of range")
    return event


def priced(event: Event, book: PriceBook, currency: str) -> None:
    """Fill in cost and currency by the book. Tools have no price; a prompt-cache hit costs nothing."""
    if event.kind == "tool":
        return
    if event.kind == "cache":
        event.cost_nano, event.currency = 0, currency
        return
    price = book.find(event.provider, event.model, event.requested_model, event.at)
    if price is None:
        event.unpriced = 1
        return
    event.unpriced = 0
    event.price_version = f"{price.source} {price.version or ''}".strip()
    if (cost := price.cost(event.usage)) is not None:
        event.cost_nano, event.currency = cost.nano, cost.currency
    elif event.total_tokens is not None:
        # A total without a split, or a bucket that the price does not name: what it costs is not known.
        event.unpriced = 1


def to_base(event: Event, book: PriceBook, currency: str) -> None:
    """Fill in what the event counts in statistics: its cost in the reporting currency at the rate of its day."""
    if event.cost_nano is None or event.currency is None:
        event.base_nano = None
        return
    money = book.rates.convert_nano(event.cost_nano, event.currency, currency, event.at)
    event.base_nano = money
    if money is None:
        # A cost that cannot be told in the reporting currency is missing from every total: say so.
        event.unpriced = 1


def _given(event: Event, cost: str, currency: str) -> None:
    event.cost_nano, event.currency, event.price_version = nano_of(cost), currency.upper(), "given"


def standing(event: Any, entries: Iterable[Any]) -> list[Any]:
    """The corrections that count where the event counts; those of closed months are events of their own."""
    return [entry for entry in entries if entry.at_us == event.at_us]


def event_of_row(row: Any) -> Event:
    """The event that a row of the table holds."""
    values = dict(row._mapping)  # noqa: SLF001 -- SQLAlchemy's public name of a row's mapping
    return Event(**{**values, "event_id": str(values["event_id"])})


def foreign_id(key_id: str | None, event_id: str) -> str:
    """The id under which a caller's own event id is booked: a UUID as it is; for anything else the same UUIDv7 for
    the same caller and id, for ever.
    """
    if ids.is_uuid(event_id):
        return str(UUID(event_id))
    digest = hashlib.sha256(f"{key_id or ''}\0{event_id}".encode("utf-8", "surrogatepass")).digest()
    # The time part stays 0: a repetition with another timestamp must still be the same event.
    value = int.from_bytes(digest[:10], "big")
    high, low = value >> 62 & 0xFFF, value & 0x3FFF_FFFF_FFFF_FFFF
    return str(UUID(int=(0x7 << 76) | (high << 64) | (0b10 << 62) | low))


def _checked(ended: AttemptEnded) -> str:
    """The id of what a producer of ours can have written, as it is booked; raises Poison."""
    try:
        event_id = str(UUID(ended.event_id))
    except ValueError:
        raise Poison("event_id is not a UUID") from None
    if not 0 <= ended.timestamp < _LATEST:
        raise Poison("timestamp is out of range")
    if ended.kind not in KINDS or ended.status not in STATUSES or ended.usage_source not in SOURCES:
        raise Poison("kind, status or usage_source is unknown")
    if not 0 < ended.attempt < 2**31:
        raise Poison("attempt is out of range")
    counts = (*(msgspec.structs.astuple(ended.usage) if ended.usage else ()), ended.total_tokens)
    for count in counts:
        if count is not None and not 0 <= count <= MOST_TOKENS:
            raise Poison("a token count is out of range")
    return event_id


def _text(value: str | None, most: int = MOST_TEXT) -> str | None:
    """Text that every database stores; empty means unknown."""
    if not value:
        return None
    if len(value) <= most and value.isascii() and "\0" not in value:
        return value
    return value.replace("\0", "").encode("utf-8", "replace").decode()[:most] or None


def _milliseconds(value: float | None) -> float | None:
    """A duration; what is not a number of milliseconds is unknown."""
    if value is None or not 0 <= value < 1e12:
        return None
    return round(value, 3)
