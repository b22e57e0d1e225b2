"""Ways to spend less, each with its method, sample and range; they overlap, so they are never added up. Pure.

`facts` holds the figures of the sentences, for a page that says them in another language.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import sqrt
from typing import Any

from services.usage.sums import Sums
from shared.money import decimal_of
from shared.prices import Price
from shared.rates import Rates
from shared.wire.usage import TokenUsage

LEAST_CALLS = 30
_WORSE_POINTS = 2.0
_Z90 = 1.645
_LONG_INPUT = 1500
_LITTLE_CACHED = 5.0
_LEAST_NANO = 10_000_000

METHODS = {
    "cheaper_model": (
        "Tokens of the dearer model re-priced at the cheaper one without a cache; only where the lower 90 % bound "
        f"of its success rate is at most {_WORSE_POINTS:g} points below. The answers' quality was not compared."
    ),
    "cacheable_input": "Half of the fresh input priced as cache reads; the range is a fifth to four fifths of it.",
    "waste": "Booked cost of attempts that ended as error, aborted or interrupted; not all can be avoided.",
}


@dataclass(frozen=True)
class Ground:
    """What advice is given on: sums over a span, and the prices of now."""

    days: int
    currency: str
    now: float
    uses: Mapping[tuple[str, str], Sums]
    models: Mapping[str, Sums]
    statuses: Mapping[str, Sums]
    find: Callable[[str], Price | None]
    rates: Rates


def all_advice(ground: Ground) -> list[dict[str, Any]]:
    """Everything worth saying, the greatest saving first."""
    found = [*cheaper_models(ground), *cacheable_input(ground), *waste(ground)]
    return sorted(found, key=lambda item: -(item["saving"] or Decimal(0)))


def cheaper_models(ground: Ground) -> Iterable[dict[str, Any]]:
    """For each function the model that costs least among those not proven worse."""
    by_function: dict[str, dict[str, Sums]] = {}
    for (function, model), sums in ground.uses.items():
        if sums.calls >= LEAST_CALLS and model:
            by_function.setdefault(function, {})[model] = sums
    for function, models in sorted(by_function.items()):
        dearest = max(models, key=lambda name: models[name].cost_nano)
        best = _cheapest_equal(ground, models, dearest)
        if best is not None:
            yield _cheaper(ground, function, dearest, best, models)


def _cheapest_equal(ground: Ground, models: Mapping[str, Sums], dearest: str) -> tuple[str, int] | None:
    """The model that would have saved most on the dearest one's very tokens, with success as good."""
    now = models[dearest]
    candidates = []
    for name, sums in models.items():
        would = _cost_on(ground, name, now)
        if name != dearest and would is not None and would < now.cost_nano and _as_good(sums, now):
            candidates.append((now.cost_nano - would, name))
    if not candidates:
        return None
    saving, name = max(candidates)
    return (name, saving) if saving >= _LEAST_NANO else None


def _as_good(other: Sums, now: Sums) -> bool:
    """Whether the lower bound of the other's success is not below this one's by more than the margin."""
    return 100 * wilson(other.ok, other.calls)[0] >= 100 * now.ok / now.calls - _WORSE_POINTS


def wilson(successes: int, calls: int) -> tuple[float, float]:
    """The 90 % confidence bounds of a success share."""
    share = successes / calls
    middle = share + _Z90**2 / (2 * calls)
    half = _Z90 * sqrt(share * (1 - share) / calls + _Z90**2 / (4 * calls**2))
    whole = 1 + _Z90**2 / calls
    return (middle - half) / whole, (middle + half) / whole


def _cost_on(ground: Ground, model: str, sums: Sums) -> int | None:
    """What the tokens would cost at another model, caches lost: its cache has not seen them."""
    price = ground.find(model)
    if price is None or sums.tokens != sums.input_tokens + sums.output_tokens:
        return None  # totals without a split cannot be priced at all
    cost = price.cost(TokenUsage(sums.input_tokens, sums.output_tokens, None, None, sums.reasoning_tokens))
    return None if cost is None else ground.rates.convert_nano(cost.nano, cost.currency, ground.currency, ground.now)


def _cheaper(
    ground: Ground, function: str, dearest: str, best: tuple[str, int], models: Mapping[str, Sums]
) -> dict[str, Any]:
    name, saving = best
    other, now = models[name], models[dearest]
    whose = f"function {function!r}" if function else "calls without a function"
    return {
        "kind": "cheaper_model",
        "title": f"Use {name} instead of {dearest} for {whose}",
        "text": (
            f"{name} succeeded in {other.success_rate} % of {other.calls} calls, {dearest} in {now.success_rate} % of "
            f"{now.calls}. The same tokens at its price would have cost {decimal_of(now.cost_nano - saving)} "
            f"instead of {decimal_of(now.cost_nano)} {ground.currency}."
        ),
        "method": METHODS["cheaper_model"],
        "facts": {
            "model": name,
            "instead_of": dearest,
            "function": function or None,
            "success_rate": other.success_rate,
            "calls": other.calls,
            "success_rate_now": now.success_rate,
            "calls_now": now.calls,
            "cost_then": decimal_of(now.cost_nano - saving),
            "cost_now": decimal_of(now.cost_nano),
        },
        "sample_size": min(other.calls, now.calls),
        **_range(ground, saving, low=0.7, high=1.0),
    }


def cacheable_input(ground: Ground) -> Iterable[dict[str, Any]]:
    """Models that read long inputs and have a cache price, but hardly ever hit the cache."""
    for name, sums in sorted(ground.models.items()):
        price = ground.find(name) if name else None
        if price is None or sums.calls < LEAST_CALLS or sums.input_tokens < _LONG_INPUT * sums.calls:
            continue
        tier = price.tiers[0]
        cheaper = 0 if tier.input is None or tier.cache_read is None else tier.input - tier.cache_read
        if cheaper <= 0 or (sums.cache_share or 0) >= _LITTLE_CACHED:
            continue
        fresh = sums.input_tokens - sums.cache_read_tokens
        nano = ground.rates.convert_nano(fresh * cheaper // 1_000_000, price.currency, ground.currency, ground.now)
        if nano and nano >= _LEAST_NANO:
            yield {
                "kind": "cacheable_input",
                "title": f"Let {name} read repeated input from its cache",
                "text": (
                    f"{sums.calls} calls sent {sums.input_tokens // sums.calls} input tokens each on average, and "
                    f"{sums.cache_share or 0} % of them came from the cache. Constant parts belong at the beginning."
                ),
                "method": METHODS["cacheable_input"],
                "facts": {
                    "model": name,
                    "calls": sums.calls,
                    "input_tokens": sums.input_tokens // sums.calls,
                    "cache_share": sums.cache_share or 0,
                },
                "sample_size": sums.calls,
                **_range(ground, nano // 2, low=0.4, high=1.6),
            }


def waste(ground: Ground) -> Iterable[dict[str, Any]]:
    """What was paid for answers that nobody got."""
    lost = [
        (status, ground.statuses[status]) for status in ("error", "aborted", "interrupted") if status in ground.statuses
    ]
    nano = sum(sums.cost_nano for _, sums in lost)
    calls = sum(sums.calls for _, sums in lost)
    everything = sum(sums.calls for sums in ground.statuses.values())
    if calls < LEAST_CALLS or nano < _LEAST_NANO:
        return
    told = ", ".join(f"{sums.calls} {status}" for status, sums in lost if sums.calls)
    yield {
        "kind": "waste",
        "title": "Answers that were paid for and lost",
        "text": f"{calls} of {everything} attempts did not end well ({told}): {decimal_of(nano)} {ground.currency}.",
        "method": METHODS["waste"],
        "facts": {
            "calls": calls,
            "attempts": everything,
            "cost": decimal_of(nano),
            "by_status": {status: sums.calls for status, sums in lost if sums.calls},
        },
        "sample_size": calls,
        **_range(ground, nano // 2, low=0.0, high=2.0),
    }


def _range(ground: Ground, nano: int, *, low: float, high: float) -> dict[str, Any]:
    return {
        "saving": decimal_of(nano),
        "low": decimal_of(round(nano * low)),
        "high": decimal_of(round(nano * high)),
        "currency": ground.currency,
        "period_days": ground.days,
    }
