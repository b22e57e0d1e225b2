"""The records of targets where all replicas see them. Local records decide; this keeps them close to each other."""

import asyncio

from services.router.catalog import Target
from services.router.record import Records
from shared import clock
from shared.cache import Cache
from shared.errors import CacheUnavailable

_PROBE_SECONDS = 15.0


class SharedRecords:
    """Publishes what happened here and takes over what happened elsewhere."""

    def __init__(self, records: Records, cache: Cache) -> None:
        self._records = records
        self._cache = cache
        self._dirty: set[str] = set()

    def changed(self, key: str) -> None:
        """The record of this target is new."""
        self._dirty.add(key)

    async def claim_probe(self, target: Target) -> bool:
        """Whether this request is the one that finds out if a target is well again; one at a time over all replicas."""
        self._records.of(target.key).probe_at = clock.now() + _PROBE_SECONDS
        try:
            return await self._cache.set(
                f"router:probe:{target.key}", b"1", ttl_seconds=_PROBE_SECONDS, only_if_absent=True
            )
        except CacheUnavailable:
            return True

    async def run(self) -> None:
        """Until cancelled."""
        await asyncio.Event().wait()
