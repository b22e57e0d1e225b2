"""One usage record: the seed's thirteen fields first, then what Tollway's ledger also knows."""

import math
import time
from dataclasses import dataclass, field
from typing import Any, Literal

from tollway.ids import new_event_id
from tollway.usage.pricing import ModelPricing
from tollway.usage.tokens import Tokens

Status = Literal["ok", "error", "aborted"]
LONGEST_ERROR = 2000
LAST_MOMENT = 4_000_000_000


@dataclass(frozen=True, slots=True)
class Labels:
    """Whom and what a call was made for."""

    user_id: str | None = None
    anchor_id: str | None = None
    session_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a caller knows about one finished call."""

    model: str
    function: str
    tokens: Tokens = field(default_factory=Tokens)
    cost: float | None = None
    duration_ms: float | None = None
    success: bool = True
    status: Status | None = None
    error_msg: str | None = None
    labels: Labels = field(default_factory=Labels)
    timestamp: float | None = None
    event_id: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


def make_record(usage: Usage, pricing: type[ModelPricing] = ModelPricing) -> dict[str, Any]:
    """The record of one call, priced; an unknown price makes the cost null and is flagged, never 0."""
    tokens, price = usage.tokens, pricing.find(usage.model)
    cost = usage.cost if usage.cost is not None else pricing.cost(usage.model, tokens)
    record: dict[str, Any] = {
        "timestamp": moment(usage.timestamp),
        "user_id": usage.labels.user_id,
        "anchor_id": usage.labels.anchor_id,
        "session_id": usage.labels.session_id,
        "model": usage.model,
        "function": usage.function,
        "input_tokens": tokens.input,
        "output_tokens": tokens.output,
        "total_tokens": tokens.total,
        "cost": cost,
        "duration_ms": finite(usage.duration_ms),
        "success": usage.success,
        "error_msg": usage.error_msg[:LONGEST_ERROR] if usage.error_msg else None,
        "event_id": usage.event_id or new_event_id(),
        "currency": price.get("currency", "CNY") if price else "CNY" if cost is not None else None,
        "unpriced": cost is None and (price is None or tokens.total is not None),
        "usage_source": "none" if tokens.total is None else "provider",
        "status": usage.status or ("ok" if usage.success else "error"),
    }
    known = {
        "cache_read_tokens": tokens.cache_read,
        "cache_write_tokens": tokens.cache_write,
        "reasoning_tokens": tokens.reasoning,
        **usage.extra,
    }
    record.update({name: value for name, value in known.items() if value is not None})
    return record


def moment(told: float | None) -> float:
    """Unix seconds as told, or now when that is no moment anybody could mean."""
    believable = isinstance(told, int | float) and 0 <= told < LAST_MOMENT
    return told if told is not None and believable else time.time()


def finite(value: float | None) -> float | None:
    """The number rounded to microseconds, or None for what JSON cannot hold."""
    if value is None or not math.isfinite(value):
        return None
    return round(float(value), 3)


def label(value: object) -> str | None:
    """An id as text; None stays None."""
    return None if value is None else str(value)
