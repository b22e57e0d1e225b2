"""What can be asked right now: configured models, providers, and the lists of providers without configured models."""

import asyncio
from collections.abc import Iterable

import msgspec

from services.router.catalog import Catalog, Listed
from services.router.fleet import Fleet
from services.router.lists import Lister, ListUnavailable
from services.router.record import Records
from shared import clock
from shared.config.live import LiveConfig
from shared.config.schema import Config
from shared.http_client import HttpClient

_ASK_AGAIN_SECONDS = 15.0


class Checked(msgspec.Struct, frozen=True):
    """What the last look at a provider said."""

    at: float
    error: str | None = None
    models: int | None = None


class Inventory:
    """The catalogue in force and the providers behind it; both are replaced, never changed, when something is new."""

    def __init__(self, config: LiveConfig, records: Records, http: HttpClient, lister: Lister) -> None:
        self.fleet = Fleet()
        self.checked: dict[str, Checked] = {}
        self.changed = asyncio.Event()
        self.catalog = Catalog(config.current, {})
        self._records = records
        self._http = http
        self._lister = lister
        self._lists: dict[str, list[Listed]] = {}
        self._asking = asyncio.Lock()
        self._configure(config.current)
        config.subscribe(self._configure)

    async def catalog_for(self, name: str) -> Catalog:
        """The catalogue; complete if it does not know the name yet."""
        return self.catalog if name in self.catalog else await self.complete()

    async def complete(self) -> Catalog:
        """The catalogue with the lists of all providers that could be read."""
        if self._unread():
            async with self._asking:
                await self.read_lists(self._unread())
        return self.catalog

    async def read_lists(self, names: Iterable[str], *, fresh: bool = False) -> None:
        """Read these providers' lists, together."""
        await asyncio.gather(*(self._read(name, fresh=fresh) for name in names))
        self.catalog = Catalog(self.catalog.config, self._lists)

    def _unread(self) -> list[str]:
        now = clock.now()
        return [
            name
            for name in self.catalog.unlisted
            if (seen := self.checked.get(name)) is None or now - seen.at > _ASK_AGAIN_SECONDS
        ]

    async def _read(self, name: str, *, fresh: bool) -> None:
        if name not in self.fleet:
            return
        provider = self.fleet[name]
        try:
            listed = await self._lister.models(provider, self.catalog.config.routing.model_list_seconds, fresh=fresh)
        except ListUnavailable as error:
            self.checked[name] = Checked(clock.now(), str(error))
        else:
            self.checked[name] = Checked(clock.now(), None, len(listed))
            if name in self.fleet and self.fleet[name] is provider:
                self._lists[name] = listed

    def _configure(self, config: Config) -> None:
        catalog = Catalog(config, {})
        for name in self.fleet.configure(catalog.providers, config.routing.timeouts, self._http):
            self._lists.pop(name, None)
            self.checked.pop(name, None)
        self.catalog = Catalog(config, {name: models for name, models in self._lists.items() if name in self.fleet})
        self._records.keep(self.catalog.target_keys)
        self.changed.set()
