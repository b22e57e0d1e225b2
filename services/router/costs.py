"""What a target costs, for the strategy that orders by it: configured, built-in, bundled and the ledger's prices."""

import asyncio
import importlib
import importlib.util
from typing import Any

import msgspec
import structlog

from services.router.catalog import Target
from shared import clock
from shared.config.live import LiveConfig
from shared.config.schema import Config
from shared.http_client import HttpClient, HttpError, Timeout, read_capped
from shared.messages.router_wire import INTERNAL_TOKEN
from shared.prices import PriceBook
from shared.wire.usage import TokenUsage

log = structlog.get_logger(__name__)

REFRESH_SECONDS = 30.0
# Prices are compared for a usual call: three tokens in for one out.
_USUAL = TokenUsage(input_tokens=3000, output_tokens=1000)
_TIMEOUT = Timeout(total=5.0)
_MOST_BYTES = 16 << 20


class Costs:
    """Comparable costs of targets, in the ledger's currency."""

    def __init__(self, config: LiveConfig, http: HttpClient, usage_url: str, token: str | None) -> None:
        self._config = config
        self._http = http
        self._url = f"{usage_url.rstrip('/')}/internal/prices"
        self._headers = {INTERNAL_TOKEN: token} if token else {}
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
            await self.refresh()
            await asyncio.sleep(REFRESH_SECONDS)

    async def refresh(self) -> None:
        """Take up the prices in force in the ledger, if somebody orders by cost."""
        if self._config.current.routing.strategy != "cost":
            return
        try:
            response = await self._http.session().get(self._url, headers=self._headers, timeout=_TIMEOUT)
            told: dict[str, Any] = msgspec.json.decode(await read_capped(response, _MOST_BYTES))
            if response.status == 200:
                self._book = PriceBook.from_rows(told["rows"], told.get("rates"))
        except (HttpError, OSError, TimeoutError, ValueError, KeyError) as error:
            log.debug("prices_not_refreshed", error=str(error))

    def _configure(self, config: Config) -> None:
        self._book = _own_book(config)


def _own_book(config: Config) -> PriceBook:
    """What is known without asking anybody."""
    seed = None
    if config.routing.strategy == "cost" and importlib.util.find_spec("genai_prices"):
        seed = importlib.import_module("shared.prices_genai").find
    return PriceBook.of(config.usage, seed=seed)
