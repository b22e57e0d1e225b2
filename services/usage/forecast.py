"""The month's cost: so far, plus weekday factor times a smoothed level, with an interval from its own past errors.

Pure arithmetic on daily costs. The interval is as wide, up and down alike, as four fifths of the back-tested errors
over a span as long as what is left, not a sum of daily deviations; with fewer than a week of days it is wide and says
so. The quantiles of so few and so alike errors, each side by itself, would promise 80 % and hold 60.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from math import exp, log
from typing import Any

from services.usage.zone import dates, last_of_month, months_before
from shared.money import decimal_of

HISTORY_DAYS = 56
HALF_LIFE_DAYS = 10
ENOUGH_DAYS = 7
PAST_MONTHS = 6
_ORIGINS = 28
# How many weeks of a weekday count as much as the belief that all weekdays are alike.
_SHRINK_WEEKS = 4
_WIDE = (0.5, 2.0)
_COVERED = 0.8
_LEAST_RATIO = 0.05
# An hour with fewer calls may well have none.
_LEAST_CALLS = 20

METHOD = (
    "Actual cost so far, plus for every remaining day the exponentially smoothed level (half-life 10 days) times that "
    "weekday's factor. The range is as wide as four fifths of the same method's errors over past spans as long as the "
    "rest."
)


@dataclass(frozen=True)
class Model:
    """What a history says about the days to come."""

    level: float
    factors: tuple[float, ...]

    def day(self, day: date) -> float:
        """The expected cost of a day, in nano-units."""
        return self.level * self.factors[day.weekday()]


Costs = Mapping[date, int]


def fit(costs: Costs, first: date, last: date) -> Model:
    """The level and weekday factors of the days from first to last."""
    values = [float(costs.get(day, 0)) for day in dates(first, last)]
    mean = sum(values) / len(values) if values else 0.0
    start = first.weekday()
    factors = []
    for weekday in range(7):
        own = values[(weekday - start) % 7 :: 7]
        ratio = sum(own) / len(own) / mean if own and mean else 1.0
        factors.append((ratio * len(own) + _SHRINK_WEEKS) / (len(own) + _SHRINK_WEEKS))
    decay = 0.5 ** (1 / HALF_LIFE_DAYS)
    weight = total = 0.0
    for place, value in enumerate(values, start):
        weight = weight * decay + 1
        total = total * decay + value / max(factors[place % 7], 0.05)
    return Model(total / weight if weight else 0.0, tuple(factors))


def month(costs: Costs, today: date, passed_of_today: float, first_day: date | None) -> dict[str, Any]:
    """The forecast of the month that holds `today`, of which a share has passed; the ledger began at `first_day`."""
    start, end = today.replace(day=1), last_of_month(today)
    history_start = max(today - timedelta(days=HISTORY_DAYS), first_day or today)
    known = (today - history_start).days
    model = fit(costs, history_start, today - timedelta(days=1)) if known else _pace(costs, today, passed_of_today)
    actual = sum(costs.get(day, 0) for day in dates(start, today))
    rest = [(today, model.day(today) * (1 - passed_of_today))]
    rest += [(day, model.day(day)) for day in dates(today + timedelta(days=1), end)]
    low, high = spread(costs, history_start, today, len(rest)) if known >= ENOUGH_DAYS else _WIDE
    ahead = sum(value for _, value in rest)
    return {
        "month": f"{today:%Y-%m}",
        "actual": decimal_of(actual),
        "mid": decimal_of(actual + round(ahead)),
        "low": decimal_of(actual + round(ahead * low)),
        "high": decimal_of(actual + round(ahead * high)),
        "method": METHOD,
        "enough_data": known >= ENOUGH_DAYS,
        "history_days": known,
        "days": [
            {
                "date": day.isoformat(),
                "mid": decimal_of(round(value)),
                "low": decimal_of(round(value * low)),
                "high": decimal_of(round(value * high)),
            }
            for day, value in rest
        ],
    }


def spread(costs: Costs, first: date, today: date, horizon: int) -> tuple[float, float]:
    """Between which shares of what is expected the actual cost lies in four of five cases, by past spans like this."""
    known = frozenset((day, cost) for day, cost in costs.items() if first <= day < today)
    return _spread(known, first, today, horizon)


# What is over hardly ever changes: the same months are looked back upon at every question.
@lru_cache(maxsize=256)
def _spread(known: frozenset[tuple[date, int]], first: date, today: date, horizon: int) -> tuple[float, float]:
    costs = dict(known)
    errors = []
    for back in range(1, _ORIGINS + 1):
        origin = today - timedelta(days=back)
        if (origin - first).days < ENOUGH_DAYS:
            break
        span = dates(origin, min(origin + timedelta(days=horizon - 1), today - timedelta(days=1)))
        predicted = fit(costs, max(first, origin - timedelta(days=HISTORY_DAYS)), origin - timedelta(days=1))
        expected = sum(predicted.day(day) for day in span)
        if expected > 0:
            ratio = sum(costs.get(day, 0) for day in span) / expected
            errors.append(abs(log(max(ratio, _LEAST_RATIO))))
    if len(errors) < ENOUGH_DAYS:
        return _WIDE
    factor = exp(quantile(errors, _COVERED))
    return 1 / factor, factor


def scoreboard(costs: Costs, today: date, first_day: date | None) -> dict[str, Any]:
    """What the method would have said in the middle of the last months, beside what came."""
    rows: list[dict[str, Any]] = []
    errors: list[float] = []
    inside = 0
    for back in range(PAST_MONTHS, 0, -1):
        start = months_before(today, back)
        if first_day is None or start < first_day:
            continue
        middle = start.replace(day=15)
        told = month({day: cost for day, cost in costs.items() if day < middle}, middle, 0.0, first_day)
        actual = decimal_of(sum(costs.get(day, 0) for day in dates(start, last_of_month(start))))
        rows.append(
            {
                "month": f"{start:%Y-%m}",
                "predicted": told["mid"],
                "actual": actual,
                "low": told["low"],
                "high": told["high"],
            }
        )
        inside += told["low"] <= actual <= told["high"]
        if actual:
            errors.append(abs(float(told["mid"] - actual) / float(actual)))
    return {
        "history": rows,
        "mape": round(100 * sum(errors) / len(errors), 1) if errors else None,
        "coverage": round(100 * inside / len(rows), 1) if rows else None,
    }


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which a share of the values lies, between neighbours in proportion."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    index = int(place)
    following = ordered[min(index + 1, len(ordered) - 1)]
    return ordered[index] + (following - ordered[index]) * (place - index)


def anomaly(value: float, past: Sequence[float], least: float) -> bool:
    """Whether a value is far above its like: six robust deviations and at least some amount."""
    if len(past) < 3 or value < least:
        return False
    centre = quantile(past, 0.5)
    spread_ = quantile([abs(item - centre) for item in past], 0.5)
    return value - centre > 6 * max(1.4826 * spread_, 0.1 * centre, least / 6)


def silence(calls: int, past: Sequence[int]) -> bool:
    """Whether it is silent where, for weeks, it never was."""
    return calls == 0 and len(past) >= 3 and min(past) >= _LEAST_CALLS


def _pace(costs: Costs, today: date, passed: float) -> Model:
    """With no whole day known: today's pace, if enough of today has passed to speak of one."""
    spent = float(costs.get(today, 0))
    return Model(spent / max(passed, 1 / 24), (1.0,) * 7)
