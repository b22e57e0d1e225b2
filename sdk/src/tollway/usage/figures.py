"""Sums over usage records, in the seed's shapes. Costs are added as whole nano-units."""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any

NANO = 1_000_000_000
Record = dict[str, Any]


class Figures(dict[str, Any]):
    """Statistics that read both ways: `summary.total_cost` and `summary["total_cost"]`; JSON as they are."""

    period: str
    date: str
    calls: int
    tokens: int
    cost: float
    total_calls: int
    total_tokens: int
    total_cost: float
    success_rate: float
    by_model: dict[str, dict[str, Any]]
    by_function: dict[str, dict[str, Any]]

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            msg = f"these figures have no {name!r}"
            raise AttributeError(msg) from None


@dataclass(slots=True)
class Sum:
    """Running totals of some records."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    tokens: int = 0
    nano: int = 0
    succeeded: int = 0
    unpriced: int = 0

    def add(self, record: Record) -> None:
        cost = record.get("cost")
        self.calls += 1
        self.input_tokens += record.get("input_tokens") or 0
        self.output_tokens += record.get("output_tokens") or 0
        self.tokens += record.get("total_tokens") or 0
        self.nano += round(cost * NANO) if cost is not None else 0
        self.succeeded += bool(record.get("success"))
        self.unpriced += bool(record.get("unpriced"))

    @property
    def cost(self) -> float:
        return self.nano / NANO

    @property
    def success_rate(self) -> float:
        return round(100 * self.succeeded / self.calls, 2) if self.calls else 0.0

    def as_group(self) -> dict[str, Any]:
        """The seed's figures of one model or function."""
        return {"calls": self.calls, "total_tokens": self.tokens, "cost": self.cost}

    def as_row(self) -> dict[str, Any]:
        """The seed's figures of one user, session or day."""
        return {"calls": self.calls, "tokens": self.tokens, "cost": self.cost}


def group(records: Iterable[Record], key: Callable[[Record], Hashable]) -> dict[Any, Sum]:
    """Totals for each value of a key."""
    sums: dict[Any, Sum] = {}
    for record in records:
        sums.setdefault(key(record), Sum()).add(record)
    return sums


def total(records: Iterable[Record]) -> Sum:
    """The totals of all records."""
    whole = Sum()
    for record in records:
        whole.add(record)
    return whole


def summarise(records: list[Record], period: str, date: str) -> Figures:
    """The seed's summary of a period: totals, then each model and function, dearest first."""
    whole = total(records)
    return Figures(
        period=period,
        date=date,
        total_calls=whole.calls,
        total_tokens=whole.tokens,
        total_cost=whole.cost,
        input_tokens=whole.input_tokens,
        output_tokens=whole.output_tokens,
        success_rate=whole.success_rate,
        unpriced_calls=whole.unpriced,
        currency="CNY",
        by_model=_groups(records, "model"),
        by_function=_groups(records, "function"),
    )


def _groups(records: list[Record], name: str) -> dict[str, dict[str, Any]]:
    sums = group(records, lambda record: str(record.get(name)))
    return {key: part.as_group() for key, part in sorted(sums.items(), key=lambda item: -item[1].nano)}
