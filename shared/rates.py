"""Exchange rates with the day from which they hold: how an amount in one currency is told in another."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal

import msgspec

from shared.money import Money, divide, exact

_SCALE = 1_000_000_000_000


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """One unit of `source` is worth `value` units of `target`, from the beginning of a UTC day on."""

    source: str
    target: str
    value: str
    valid_from: str
    origin: str = "built-in"

    @property
    def starts(self) -> float:
        """The Unix time at which it begins to hold."""
        return datetime.combine(date.fromisoformat(self.valid_from), datetime.min.time(), UTC).timestamp()


# Monthly mid-market rates; an operator's own (`usage.rates` or POST rates) come first.
BUILT_IN = tuple(
    Rate(source=source, target="CNY", value=value, valid_from="2025-10-01")
    for source, value in (
        ("USD", "7.12"),
        ("EUR", "8.35"),
        ("GBP", "9.58"),
        ("JPY", "0.0478"),
        ("HKD", "0.915"),
    )
)


class Rates:
    """The rates in force, by pair, newest first."""

    def __init__(self, rates: Iterable[Rate] = BUILT_IN) -> None:
        self.rows = tuple(rates)
        self._pairs: dict[tuple[str, str], list[tuple[float, int]]] = {}
        for rate in self.rows:
            scaled = int(exact(rate.value) * _SCALE)
            if scaled <= 0:
                message = f"the rate from {rate.source} to {rate.target} must be above 0"
                raise ValueError(message)
            self._pairs.setdefault((rate.source, rate.target), []).append((rate.starts, scaled))
        for steps in self._pairs.values():
            steps.sort(key=lambda step: step[0])

    @classmethod
    def given(cls, configured: Mapping[str, float], currency: str, dated: Iterable[Rate] = ()) -> "Rates":
        """Built-in rates, then the configuration's (undated: they replace the pair), then dated rows."""
        own = [
            Rate(
                source=source.upper(),
                target=currency,
                value=str(value),
                valid_from="1970-01-01",
                origin="config",
            )
            for source, value in configured.items()
        ]
        replaced = {(rate.source, rate.target) for rate in own}
        kept = [rate for rate in BUILT_IN if (rate.source, rate.target) not in replaced]
        return cls([*kept, *own, *dated])

    def convert(self, money: Money, currency: str, at: float) -> Money | None:
        """The amount in another currency at that time's rate; None when no rate is known."""
        if money.currency == currency:
            return money
        if money.nano == 0:
            return Money(0, currency)
        if (scaled := self._rate(money.currency, currency, at)) is not None:
            return Money(divide(money.nano * scaled, _SCALE), currency)
        if (inverse := self._rate(currency, money.currency, at)) is not None:
            return Money(divide(money.nano * _SCALE, inverse), currency)
        return self._through_yuan(money, currency, at)

    def convert_nano(self, nano: int, source: str, target: str, at: float) -> int | None:
        """The same on bare nano-units, for the many."""
        if source == target:
            return nano
        money = self.convert(Money(nano, source), target, at)
        return None if money is None else money.nano

    def _through_yuan(self, money: Money, currency: str, at: float) -> Money | None:
        there = self._rate(money.currency, "CNY", at)
        back = self._rate(currency, "CNY", at)
        if there is None or back is None:
            return None
        return Money(divide(money.nano * there, back), currency)

    def _rate(self, source: str, target: str, at: float) -> int | None:
        """The last rate that began before; the first one reaches back to all earlier times."""
        steps = self._pairs.get((source, target))
        if not steps:
            return None
        found = steps[0][1]
        for starts, scaled in steps[1:]:
            if starts <= at:
                found = scaled
        return found


def checked(value: object) -> str:
    """A rate as it is stored; raises ValueError unless it is a positive number of sensible size."""
    number = exact(value)
    if not Decimal("0.000000001") <= number <= Decimal(1_000_000_000):
        raise ValueError("a rate must be between 0.000000001 and 1000000000")
    return format(number, "f")
