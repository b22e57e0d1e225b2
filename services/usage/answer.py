"""How answers look: JSON whose costs are exact numbers, and events as they are read back. Pure."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from starlette.responses import Response

from services.usage.event import standing
from services.usage.zone import Zone
from shared.money import decimal_of

_MICRO = 1_000_000
_encoder = msgspec.json.Encoder(decimal_format="number")

EVENT_FIELDS = (
    "event_id", "request_id", "attempt", "timestamp", "kind", "key_id", "user_id", "session_id", "anchor_id",
    "function", "provider", "model", "requested_model", "input_tokens", "output_tokens", "total_tokens",
    "cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "cost", "currency", "unpriced", "usage_source",
    "duration_ms", "ttft_ms", "success", "status", "error_msg", "time",
)  # fmt: skip


class Json(Response):
    """A JSON answer; decimals become numbers, digit for digit."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The body."""
        return encode(content)


def encode(content: Any) -> bytes:
    """JSON bytes."""
    return _encoder.encode(content)


def event_as_read(row: Any, corrections: Sequence[Any], zone: Zone) -> dict[str, Any]:
    """An event with the cost it has after corrections."""
    at = row.at_us / _MICRO
    event = {name: getattr(row, name) for name in EVENT_FIELDS if hasattr(row, name)}
    cost, currency, unpriced = _corrected(row, corrections)
    event |= {
        "event_id": str(row.event_id),
        "timestamp": at,
        "cost": cost,
        "currency": currency,
        "unpriced": unpriced,
        "success": row.status == "ok",
        "time": zone.iso(at),
    }
    return {name: event[name] for name in EVENT_FIELDS}


def _corrected(row: Any, corrections: Sequence[Any]) -> tuple[Decimal | None, str | None, bool]:
    amounts: dict[str, int] = {}
    if row.cost_nano is not None:
        amounts[row.currency] = row.cost_nano
    currency, unpriced = row.currency, bool(row.unpriced)
    for entry in standing(row, corrections):
        amounts[entry.currency] = amounts.get(entry.currency, 0) + entry.nano
        currency = entry.currency if entry.nano >= 0 or currency is None else currency
        unpriced = unpriced and not entry.priced
    # A re-pricing in another currency takes the old amount back to 0 and leaves the new one.
    left = {name: nano for name, nano in amounts.items() if nano}
    if len(left) == 1:
        currency = next(iter(left))
    if currency is None or currency not in amounts:
        return None, currency, unpriced
    return decimal_of(amounts[currency]), currency, unpriced


def error_body(message: str, kind: str, code: str, param: str | None) -> Mapping[str, Any]:
    """An error as every surface but Anthropic's tells it."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
