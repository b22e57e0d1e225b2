"""What keeps limits true while requests run: reservations are prolonged, and budgets hear what the ledger knows."""

import asyncio

import structlog

from services.gateway.limits import RENEW_SECONDS, Limiter

log = structlog.get_logger(__name__)

RECONCILE_SECONDS = 5.0


class Upkeep:
    """Two workers of a gateway process."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter

    async def renew(self) -> None:
        """Prolong running reservations until cancelled."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            await self._limiter.renew()

    async def reconcile(self) -> None:
        """Compare active keys' budgets with the ledger until cancelled."""
        while True:
            await asyncio.sleep(RECONCILE_SECONDS)
            for key in self._limiter.take_active():
                await self._limiter.reconcile(key)
