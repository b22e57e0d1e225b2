"""Daily histories made fit for formulas: short holes filled, long ones cut, two assets laid side by side."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from services.reports.metrics import Array, array

LONGEST_HOLE_DAYS = 3


@dataclass(frozen=True, slots=True)
class History:
    """Closes on consecutive days; `filled` of them were interpolated between neighbours."""

    days: list[int]
    prices: Array
    caps: Array
    volumes: Array
    filled: int

    def __len__(self) -> int:
        return len(self.days)

    def last(self, days: int) -> "History":
        """The last `days` days and the close before them."""
        start = max(0, len(self.days) - days - 1)
        return History(self.days[start:], self.prices[start:], self.caps[start:], self.volumes[start:], self.filled)


EMPTY = History([], array([]), array([]), array([]), 0)


def read(columns: dict[str, Any] | None) -> History:
    """The newest unbroken stretch of a source's columns; caps and volumes keep NaN where unknown."""
    if not columns or not columns.get("day"):
        return EMPTY
    start = _unbroken_from(columns["day"])
    known = np.array(columns["day"][start:], dtype=np.int64)
    days = np.arange(known[0], known[-1] + 1)
    told = array(columns["price"][start:])
    prices = np.exp(np.interp(days, known, np.log(told)))
    # A known close stays what it was, to the last bit.
    prices[known - known[0]] = told
    return History(
        [int(day) for day in days],
        array(prices),
        _spread(days, known, columns.get("cap"), start),
        _spread(days, known, columns.get("volume"), start),
        len(days) - len(known),
    )


def _unbroken_from(days: list[int]) -> int:
    start = 0
    for position in range(1, len(days)):
        if days[position] - days[position - 1] > LONGEST_HOLE_DAYS + 1:
            start = position
    return start


def _spread(days: Any, known: Any, values: list[float | None] | None, start: int) -> Array:
    spread = np.full(len(days), np.nan)
    if values is not None:
        spread[known - known[0]] = [np.nan if value is None else value for value in values[start:]]
    return spread


def side_by_side(ours: History, theirs: History) -> tuple[list[int], Array, Array]:
    """Both price series over the days they share."""
    if not ours.days or not theirs.days:
        return [], array([]), array([])
    first, last = max(ours.days[0], theirs.days[0]), min(ours.days[-1], theirs.days[-1])
    if first >= last:
        return [], array([]), array([])
    mine = ours.prices[first - ours.days[0] : last - ours.days[0] + 1]
    other = theirs.prices[first - theirs.days[0] : last - theirs.days[0] + 1]
    return list(range(first, last + 1)), mine, other
