"""Money at the gate: what a request may cost, what it did cost, and what a key has spent so far by the
ledger's books.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import structlog

from shared import clock
from shared.config import Config, LiveConfig
from shared.errors import TollwayError, Unavailable
from shared.messages.gateway import Spent
from shared.peers import Peer
from shared.prices import Price, PriceBook, configured, flat
from shared.wire.usage import TokenUsage

log = structlog.get_logger(__name__)

REFRESH_SECONDS = 30
ASK_SECONDS = 2.0
# What a token of a model without a price counts against budgets, in yuan per 1,000: dearer than any
# model known in 2026.
CEILING = flat("unpriced", "CNY", {"input": "0.2", "output": "0.6"})


@dataclass(frozen=True)
class KeySpend:
    """What a key has spent in the running day and month, in nano-units of usage.currency."""

    day_start: int
    day_nano: int
    month_start: int
    month_nano: int


class _Window(msgspec.Struct):
    start: float
    nano: int


class _Told(msgspec.Struct):
    day: _Window
    month: _Window


@dataclass(frozen=True)
class Rate:
    """The dearest price a model name may be answered at."""

    prices: tuple[Price, ...]
    spending: "Spending"

    def cost(self, input_tokens: int, output_tokens: int) -> int:
        """Nano-units of usage.currency."""
        usage = TokenUsage(input_tokens, output_tokens)
        return max(self.spending.in_currency(price, usage) for price in self.prices)


class Spending:
    """Prices and the ledger's word on keys, asked of the usage service."""

    def __init__(self, usage: Peer | None, config: LiveConfig) -> None:
        self._usage = usage
        self._config = config
        self._book = PriceBook.of(config.current.usage)
        self._told_book = False
        config.subscribe(self._configured)

    def windows(self, now: float) -> tuple[int, int]:
        """When the running day and month began in the reporting zone."""
        there = datetime.fromtimestamp(now, ZoneInfo(self._config.current.usage.timezone))
        day = there.replace(hour=0, minute=0, second=0, microsecond=0)
        return int(day.timestamp()), int(day.replace(day=1).timestamp())

    def price_of(self, model: str) -> Rate:
        """The dearest price among those who may answer to a name."""
        config = self._config.current
        known = config.models.get(model)
        models = [known] if known else list(config.models.values())
        prices = {self._find(target.provider, target.model, name) for name, target in _targets(config, model, models)}
        return Rate(tuple(prices) or (self._find(None, model, model),), self)

    def cost(self, spent: Sequence[Spent]) -> int:
        """What attempts cost; those without a price count at the ceiling."""
        total = 0
        for attempt in spent:
            if attempt.usage is not None:
                price = self._find(attempt.provider, attempt.model, attempt.requested_model)
                total += self.in_currency(price, attempt.usage)
        return total

    def in_currency(self, price: Price, usage: TokenUsage) -> int:
        """The cost in usage.currency; without a rate the amount itself counts, never nothing."""
        money = price.cost(usage)
        if money is None and usage.is_told:
            # Tokens of a bucket that the price does not name, such as what an embedding model puts out.
            money = self._ceiling().cost(usage)
        if money is None:
            return 0
        told = self._book.in_currency(money, self._config.current.usage.currency, clock.now())
        return money.nano if told is None else told.nano

    async def of_key(self, key_id: str) -> KeySpend:
        """The ledger's word; raises Unavailable when it cannot be asked."""
        day, month = self.windows(clock.now())
        if self._usage is None:
            return KeySpend(day, 0, month, 0)
        try:
            told = msgspec.convert(await self._ask(f"/internal/spend?key_id={key_id}"), _Told)
        except (TollwayError, msgspec.ValidationError, TimeoutError) as error:
            raise Unavailable(
                "What this key has spent cannot be read right now; try again.", code="ledger_unavailable"
            ) from error
        return KeySpend(
            day,
            told.day.nano if int(told.day.start) == day else 0,
            month,
            told.month.nano if int(told.month.start) == month else 0,
        )

    async def run(self) -> None:
        """Keep the price book fresh until cancelled; the configuration's prices stand in until it is told."""
        while True:
            try:
                await self.refresh()
            except (TollwayError, msgspec.ValidationError, TimeoutError, KeyError, TypeError) as error:
                log.debug("prices_not_refreshed", error=str(error))
            await asyncio.sleep(REFRESH_SECONDS if self._told_book else 1.0)

    async def refresh(self) -> None:
        """Ask for the prices in force."""
        if self._usage is not None:
            told = await self._ask("/internal/prices")
            self._book = PriceBook.from_rows(told["rows"], told.get("rates"))
        self._told_book = True

    def _find(self, provider: str | None, model: str | None, requested: str | None) -> Price:
        return self._book.find(provider, model, requested, clock.now()) or self._ceiling()

    def _ceiling(self) -> Price:
        usage = self._config.current.usage
        if usage.unpriced_ceiling is not None:
            section = usage.model_copy(update={"prices": {"unpriced": usage.unpriced_ceiling}})
            return configured(section)[0]
        return CEILING

    def _configured(self, config: Config) -> None:
        self._told_book = False
        self._book = PriceBook.of(config.usage)

    async def _ask(self, path: str) -> Any:
        if self._usage is None:
            raise Unavailable
        async with asyncio.timeout(ASK_SECONDS):
            return await self._usage.get_json(path)


def _targets(config: Config, name: str, models: Sequence[Any]) -> list[tuple[str, Any]]:
    return [(name, target) for model in models for target in model.targets if target.provider in config.providers]
