"""The price book: what a token costs, by provider, model and date. Pure: it opens nothing.

A price names up to five buckets. Each token is priced once: input holds cache reads and writes, output holds
reasoning. A bucket that was told but has no price of its own is charged like its holder, never free.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from shared.config.usage import Price as ConfiguredPrice
from shared.config.usage import Usage as UsageSection
from shared.money import Money, divide, per_million
from shared.rates import Rate, Rates
from shared.wire.usage import TokenUsage

MILLION = 1_000_000
# The order in which sources are asked; within one, the row that began last is in force.
SOURCES = ("ledger", "config", "built-in", "genai-prices")


class Tier(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Nano-units per million tokens, for calls of more input tokens than `over`; all their tokens pay it."""

    over: int = -1
    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None


class Price(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The price of a model's tokens in one currency, for a time."""

    model: str
    currency: str
    tiers: tuple[Tier, ...]
    provider: str | None = None
    source: str = "ledger"
    version: str | None = None
    display_name: str | None = None
    valid_from: float | None = None
    valid_to: float | None = None

    def cost(self, usage: TokenUsage | None) -> Money | None:
        """What the tokens cost, rounded once; None when neither input nor output was told, or tokens have no price."""
        if usage is None or usage.total_tokens is None:
            return None
        total_in, total_out = usage.input_tokens or 0, usage.output_tokens or 0
        tier = self._tier(total_in)
        read = min(usage.cache_read_tokens or 0, total_in)
        write = min(usage.cache_write_tokens or 0, total_in - read)
        reasoning = min(usage.reasoning_tokens or 0, total_out)
        parts = (
            (total_in - read - write, tier.input),
            (read, _own(tier.cache_read, tier.input)),
            (write, _own(tier.cache_write, tier.input)),
            (total_out - reasoning, tier.output),
            (reasoning, _own(tier.reasoning, tier.output)),
        )
        cost = 0
        for count, price in parts:
            if count:
                if price is None:
                    return None
                cost += count * price
        return Money(divide(cost, MILLION), self.currency)

    def holds_at(self, at: float) -> bool:
        """Whether this price is in force at a Unix time."""
        return (self.valid_from or 0) <= at and (self.valid_to is None or at < self.valid_to)

    def to_row(self) -> dict[str, Any]:
        """The row as it travels to other services; `PriceBook.from_rows` reads it."""
        row: dict[str, Any] = msgspec.to_builtins(self)
        return row

    def _tier(self, input_tokens: int) -> Tier:
        found = self.tiers[0]
        for tier in self.tiers[1:]:
            if input_tokens > tier.over:
                found = tier
        return found


def _own(own: int | None, holder: int | None) -> int | None:
    return holder if own is None else own


def flat(model: str, currency: str, per_1k: Mapping[str, object], **fields: Any) -> Price:
    """A price without tiers, written per 1,000 tokens."""
    units = {unit: per_million(value) for unit, value in per_1k.items() if value is not None}
    return Price(model=model, currency=currency, tiers=(Tier(**units),), **fields)


def _yuan(model: str, price_in: str, price_out: str, name: str) -> Price:
    return flat(
        model, "CNY", {"input": price_in, "output": price_out},
        source="built-in", version="2025-10", display_name=name,
    )  # fmt: skip


# The seed's table, October 2025, yuan per 1,000 tokens; `demo` answers from this machine and costs nothing.
BUILT_IN = (
    _yuan("qwen-plus", "0.0004", "0.002", "Qwen-Plus"),
    _yuan("qwen-turbo", "0.0003", "0.0006", "Qwen-Turbo"),
    _yuan("qwen-max", "0.02", "0.06", "Qwen-Max"),
    _yuan("gpt-4", "0.21", "0.42", "GPT-4"),
    _yuan("gpt-3.5-turbo", "0.0035", "0.007", "GPT-3.5-Turbo"),
    _yuan("demo", "0", "0", "Demo"),
)

Seed = Callable[[str | None, str, float], Price | None]


def configured(section: UsageSection) -> list[Price]:
    """The prices of the configuration file."""
    return [_configured(name, price, section.currency) for name, price in section.prices.items()]


def _configured(name: str, price: ConfiguredPrice, currency: str) -> Price:
    units = {
        "input": price.input, "output": price.output, "cache_read": price.cache_read,
        "cache_write": price.cache_write, "reasoning": price.reasoning,
    }  # fmt: skip
    return flat(
        name, (price.currency or currency).upper(), units,
        provider=price.provider, source="config", display_name=price.display_name,
    )  # fmt: skip


class PriceBook:
    """All prices in force: rows in the order of `SOURCES`, then `seed`, which knows far more models."""

    def __init__(self, prices: Iterable[Price], rates: Rates | None = None, seed: Seed | None = None) -> None:
        self.prices = tuple(prices)
        self.rates = rates or Rates()
        self._seed = seed
        self._rows: dict[str, list[Price]] = {}
        for price in self.prices:
            self._rows.setdefault(price.model.lower(), []).append(price)
        for rows in self._rows.values():
            rows.sort(key=lambda row: (SOURCES.index(row.source), -(row.valid_from or 0)))

    @classmethod
    def of(cls, section: UsageSection, added: Iterable[Price] = (), seed: Seed | None = None) -> "PriceBook":
        """Built-in and configured prices, with rows added to the ledger's own table."""
        rates = Rates.given(section.rates, section.currency)
        return cls([*added, *configured(section), *BUILT_IN], rates, seed)

    @classmethod
    def from_rows(
        cls, rows: Iterable[Mapping[str, Any]], rates: Iterable[Mapping[str, Any]] | None = None
    ) -> "PriceBook":
        """The book that `GET /internal/prices` tells."""
        known = None if rates is None else Rates(msgspec.convert(list(rates), list[Rate]))
        return cls(msgspec.convert(list(rows), list[Price]), known)

    def find(self, provider: str | None, model: str | None, requested_model: str | None, at: float) -> Price | None:
        """The price of the name that answered, else of the name that was asked for."""
        for name in (model, requested_model):
            if name and (found := self._named(provider, name, at)) is not None:
                return found
        return None

    def in_currency(self, money: Money, currency: str, at: float) -> Money | None:
        """The money told in another currency at that time's rate; None when no rate is known."""
        return self.rates.convert(money, currency, at)

    def _named(self, provider: str | None, name: str, at: float) -> Price | None:
        best: Price | None = None
        for row in self._rows.get(name.lower(), ()):
            if row.holds_at(at) and row.provider in (None, provider):
                if row.provider is not None:
                    return row
                best = best or row
        if best is None and self._seed is not None:
            return self._seed(provider, name, at)
        return best
