"""What a target costs, for the strategy that orders by it: configured, built-in, bundled and the ledger's prices."""

import asyncio
import contextlib
import importlib
import importlib.util
from typing import Any

import structlog

from services.router.catalog import Target
from shared import clock
from shared.config.live import LiveConfig
from shared.config.schema import Config
from shared.errors import TollwayError
from shared.peers import Peer
from shared.prices import PriceBook
from shared.wire.usage import TokenUsage

log = structlog.get_logger(__name__)

REFRESH_SECONDS = 30.0
# Prices are compared for a usual call: three tokens in for one out.
_USUAL = TokenUsage(input_tokens=3000, output_tokens=1000)
_ASK_SECONDS = 5.0


class Costs:
    """Comparable costs of targets, in the ledger's currency."""

    def __init__(self, config: LiveConfig, usage: Peer) -> None:
        self._config = config
        self._usage = usage
        self._changed = asyncio.Event()
        self._book = _own_book(config.current)
        config.subscribe(self._configure)

    def of(self, target: Target) -> float | None:
        """The cost of a usual call; None when no price is known."""
        now = clock.now()
        price = self._book.find(target.provider, target.model, None, now)
        money = price.cost(_USUAL) if price is not None else None
        if money is None:
            return None
        converted = self._book.in_currency(money, self._config.current.usage.currency, now)
        return None if converted is None else float(converted.nano)

    async def run(self) -> None:
        """Keep the prices fresh until cancelled."""
        while True:
            self._changed.clear()
            await self.refresh()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REFRESH_SECONDS):
                    await self._changed.wait()

    async def refresh(self) -> None:
        """Take up the prices in force in the ledger, if somebody orders by cost."""
        if self._config.current.routing.strategy != "cost":
            return
        try:
            async with asyncio.timeout(_ASK_SECONDS):
                told: dict[str, Any] = await self._usage.get_json("/internal/prices")
            self._book = PriceBook.from_rows(told["rows"], told.get("rates"))
        except (TollwayError, TimeoutError, ValueError, KeyError, TypeError) as error:
            log.debug("prices_not_refreshed", error=str(error))

    def _configure(self, config: Config) -> None:
        self._book = _own_book(config)
        self._changed.set()


def _own_book(config: Config) -> PriceBook:
    """What is known without asking anybody."""
    seed = None
    if config.routing.strategy == "cost" and importlib.util.find_spec("genai_prices"):
        seed = importlib.import_module("shared.prices_genai").find
    return PriceBook.of(config.usage, seed=seed)
