"""The background look at providers: are they there, which models do they list. Live requests do the rest."""

import asyncio

import structlog

from services.router.inventory import Checked, Inventory
from services.router.lists import ListUnavailable, fetch
from services.router.record import Records
from shared import clock

log = structlog.get_logger(__name__)


class Probe:
    """Looks every `health_check_seconds`, reads lists every `model_list_seconds`, and when the configuration is new."""

    def __init__(self, inventory: Inventory, records: Records) -> None:
        self._inventory = inventory
        self._records = records

    async def run(self) -> None:
        """Until cancelled."""
        checked_at = listed_at = clock.monotonic()
        while True:
            self._inventory.changed.clear()
            await self._inventory.complete()
            routing = self._inventory.catalog.config.routing
            now = clock.monotonic()
            if now - listed_at >= routing.model_list_seconds:
                listed_at = now
                await self._inventory.read_lists(self._inventory.catalog.listing, fresh=True)
            if now - checked_at >= routing.health_check_seconds:
                checked_at = now
                await self.check_all()
            due = min(checked_at + routing.health_check_seconds, listed_at + routing.model_list_seconds)
            await self._sleep(
                min(30.0 if self._inventory.catalog.unlisted else 3600.0, max(0.05, due - clock.monotonic()))
            )

    async def check_all(self) -> None:
        """Look at every provider once."""
        names = [name for name, config in self._inventory.catalog.providers.items() if config.protocol != "demo"]
        await asyncio.gather(*(self._check(name) for name in names))

    async def _check(self, name: str) -> None:
        if name not in self._inventory.fleet:
            return
        try:
            listed = await fetch(self._inventory.fleet[name])
        except ListUnavailable as error:
            self._inventory.checked[name] = Checked(clock.now(), str(error))
            if error.status in (401, 403):
                log.error("credentials_rejected", provider=name, status=error.status)
            elif error.is_outage:
                log.warning("provider_down", provider=name, reason=str(error))
                self._leave_alone(name, str(error))
        else:
            self._inventory.checked[name] = Checked(clock.now(), None, len(listed))

    def _leave_alone(self, name: str, reason: str) -> None:
        routing = self._inventory.catalog.config.routing
        for key in {
            target.key for model in self._inventory.catalog for target in model.targets if target.provider == name
        }:
            self._records.of(key).failed(
                clock.now(), reason, cooldown_seconds=routing.cooldown_seconds, probe_seconds=routing.probe_seconds
            )

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._inventory.changed.wait()
        except TimeoutError:
            pass
