"""The figures of a group of events and what follows from them. Pure."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from operator import add, sub
from typing import Any, NamedTuple

from shared.money import decimal_of


class Sums(NamedTuple):
    """The measures of a rollup row, in the order of `tables.MEASURES`."""

    calls: int = 0
    requests: int = 0
    ok: int = 0
    errors: int = 0
    aborted: int = 0
    interrupted: int = 0
    estimated: int = 0
    unpriced: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    tokens: int = 0
    cost_nano: int = 0

    @classmethod
    def of(cls, row: Iterable[Any]) -> "Sums":
        """The sums of a database row; Postgres answers sums of big integers as decimals."""
        return cls(*(int(value or 0) for value in row))

    @classmethod
    def some(cls, measures: Sequence[str], row: Iterable[Any]) -> "Sums":
        """The sums of a row with these measures alone."""
        return cls(**{measure: int(value or 0) for measure, value in zip(measures, row, strict=True)})

    def plus(self, other: "Sums") -> "Sums":
        """Both together."""
        return Sums(*map(add, self, other))

    def minus(self, other: "Sums") -> "Sums":
        """What is left without the other."""
        return Sums(*map(sub, self, other))

    @property
    def cost(self) -> Decimal:
        """The cost in the reporting currency."""
        return decimal_of(self.cost_nano)

    @property
    def success_rate(self) -> float | None:
        """Successful calls in percent; None without calls."""
        return round(100 * self.ok / self.calls, 2) if self.calls else None

    @property
    def cache_share(self) -> float | None:
        """Input tokens that were read from a cache, in percent."""
        return round(100 * self.cache_read_tokens / self.input_tokens, 2) if self.input_tokens else None


NONE = Sums()


def total(parts: Iterable[Sums]) -> Sums:
    """All together."""
    whole = NONE
    for part in parts:
        whole = whole.plus(part)
    return whole
