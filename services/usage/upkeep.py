"""What runs beside the intake: partitions made ahead, prices taken up, alerts settled, the nightly proof, retention."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from sqlalchemy.exc import SQLAlchemyError

from services.usage import anomalies, metrics, outlook, trust
from services.usage.ledger import Ledger
from services.usage.proof import WHOLE_FROM, nightly
from services.usage.rebase import Rebase
from services.usage.store import events as store
from services.usage.store import ledger
from services.usage.zone import DAY
from shared import clock
from shared.errors import TollwayError

log = structlog.get_logger(__name__)

SETTLE_SECONDS = 15.0
PARTITION_SECONDS = 3600.0
PROOF_DAYS = 3
_PAST_WEEKS = 5


class Upkeep:
    """Recurring work; a failure is logged and tried again at the next turn."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._database = ledger.resources.database
        self._rebase = Rebase(ledger)

    async def settle(self) -> None:
        """Take up prices that other replicas added, resolve alerts, look for anomalies and tell the gauges."""
        await self._every(SETTLE_SECONDS, self._settle_once)

    async def partitions(self) -> None:
        """Keep partitions ahead of time, and drop those beyond the retention."""
        await self._every(PARTITION_SECONDS, self._partitions_once)

    async def prove(self) -> None:
        """Prove the last days every night."""
        await self._database.ready.wait()
        while True:
            await asyncio.sleep(nightly(self._ledger.zone, clock.now()))
            await self._try("proof", self._prove_once)

    async def _settle_once(self) -> None:
        await self._ledger.prices.refresh()
        await self._rebase.look()
        await self._ledger.alerts.settle()
        await anomalies.look(self._ledger)
        async with self._database.read() as connection:
            await outlook.budgets(connection, self._ledger)
            await outlook.forecast(connection, self._ledger, "")
            await trust.trust(connection, self._ledger, "")

    async def _partitions_once(self) -> None:
        now = clock.now()
        start, end = now - _PAST_WEEKS * store.WEEK, now + store.WEEKS_AHEAD * store.WEEK
        async with self._database.begin() as connection:
            made = await store.ensure_partitions(connection, start, end)
            metrics.MISPLACED.set(await store.misplaced(connection, start, end))
            days = self._ledger.section.event_days
            whole_from = await store.forget_before(connection, now - days * DAY) if days else None
            if whole_from is not None:
                await ledger.write_state(connection, WHOLE_FROM, whole_from)
        if made or whole_from:
            log.info("partitions", made=made, whole_from=whole_from)

    async def _prove_once(self) -> None:
        told = await self._ledger.proof.run(PROOF_DAYS)
        if not told["ok"]:
            # What differed stays told until the next proof finds nothing; the sums are right from here on.
            log.error("rollups_drifted", events=told["drift_events"], rows=told["drift_rows"])
            await self._ledger.proof.run(PROOF_DAYS, repair=True)

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        await self._database.ready.wait()
        while True:
            await self._try(work.__name__, work)
            await asyncio.sleep(seconds)

    async def _try(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except (TollwayError, SQLAlchemyError) as error:
            log.warning("upkeep_waits", work=name, error=repr(error))
