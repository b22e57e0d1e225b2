"""The price book in force: built-in, configured and added rows, replaced as a whole when one of them changes."""

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from services.usage.store import prices as store
from shared import prices_genai
from shared.config import LiveConfig
from shared.config.schema import Config
from shared.database import Database
from shared.prices import Price, PriceBook
from shared.rates import Rates


class Prices:
    """Holds the book; `refresh` takes up rows that another replica added."""

    def __init__(self, database: Database, config: LiveConfig) -> None:
        self._database = database
        self._config = config
        self._added: list[Price] = []
        self._dated: list[Any] = []
        self.book = self._make(config.current)
        config.subscribe(self._on_config)

    async def refresh(self) -> None:
        """Read the ledger's own rows again."""
        async with self._database.read() as connection:
            await self.refresh_in(connection)

    async def refresh_in(self, connection: AsyncConnection) -> None:
        """The same, within a transaction."""
        added, dated = await store.read_prices(connection), await store.read_rates(connection)
        if (added, dated) != (self._added, self._dated):
            self._added, self._dated = added, dated
            self.book = self._make(self._config.current)

    def rows(self, seen: Iterable[tuple[str | None, str]], at: float) -> list[Price]:
        """All rows of the book and what the seed knows of models that are configured or were seen."""
        rows = list(self.book.prices)
        for provider, model in sorted(set(seen) | self._targets(), key=lambda pair: (pair[1], pair[0] or "")):
            found = self.book.find(provider, model, None, at)
            if found is not None and found.source == "genai-prices":
                rows.append(msgspec.structs.replace(found, provider=provider))
        return rows

    def version(self, rows: Iterable[Price]) -> str:
        """A name for exactly these prices and rates: the ETag of what other services are told."""
        content = msgspec.json.encode([list(rows), list(self.book.rates.rows)])
        return hashlib.sha256(content).hexdigest()[:16]

    def newest_at(self) -> str:
        """When the youngest of the built-in tables was made."""
        return max(price.version or "" for price in self.book.prices if price.source == "built-in")

    def describe(self) -> dict[str, Any]:
        """Where prices come from, for the trust strip."""
        counts: dict[str, int] = {}
        for price in self.book.prices:
            counts[price.source] = counts.get(price.source, 0) + 1
        return {"rows": counts, "built_in": self.newest_at(), "genai_prices": prices_genai.release()}

    def _targets(self) -> set[tuple[str | None, str]]:
        models = self._config.current.models.values()
        named: set[tuple[str | None, str]] = {(None, name) for name in self._config.current.models}
        return named | {(target.provider, target.model) for model in models for target in model.targets}

    def _on_config(self, config: Config) -> None:
        self.book = self._make(config)

    def _make(self, config: Config) -> PriceBook:
        book = PriceBook.of(config.usage, self._added, prices_genai.find)
        book.rates = Rates.given(config.usage.rates, config.usage.currency, self._dated)
        return book
