"""The records of targets where all replicas see them. Local records decide; this keeps them close to each other.

Each replica tells its own counts under its own key and hears the others': counts add up, and of a cooldown the latest
word holds. Without a shared cache every replica learns by itself.
"""

import asyncio
from collections.abc import Callable

import msgspec

from services.router.catalog import Target
from services.router.record import Records, Told
from shared import clock
from shared.cache import Cache
from shared.errors import CacheUnavailable
from shared.ids import new_id

_REPLICAS = "router:replicas"
_EVERY_SECONDS = 0.5
_KEEP_SECONDS = 3600.0
_MOST_REPLICAS = 64

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[str, Told]).decode


class SharedRecords:
    """Tells what happened here and hears what happened elsewhere."""

    def __init__(self, records: Records, cache: Cache, probe_seconds: Callable[[], float]) -> None:
        self._records = records
        self._cache = cache
        self._probe_seconds = probe_seconds
        self._name = new_id()
        self._own: set[str] = set()
        self._dirty = False

    def changed(self, key: str) -> None:
        """The record of this target is new."""
        self._own.add(key)
        self._dirty = True

    async def claim_probe(self, target: Target) -> bool:
        """Whether this request is the one that finds out if a target is well again; one at a time over all replicas."""
        seconds = self._probe_seconds()
        self._records.of(target.key).probe_at = clock.now() + seconds
        try:
            return await self._cache.set(f"router:probe:{target.key}", b"1", ttl_seconds=seconds, only_if_absent=True)
        except CacheUnavailable:
            return True

    async def run(self) -> None:
        """Tell and hear, until cancelled."""
        while True:
            try:
                await self.exchange()
            except CacheUnavailable:
                self._dirty = True
            await asyncio.sleep(_EVERY_SECONDS)

    async def exchange(self) -> None:
        """Tell the others if there is news, and hear theirs; raises CacheUnavailable."""
        now = clock.now()
        if self._dirty:
            self._dirty = False
            told = _encode(self._records.tell(self._own))
            await self._cache.set(_key(self._name), told, ttl_seconds=_KEEP_SECONDS)
            await self._cache.rank(_REPLICAS, self._name, now)
        heard: dict[str, list[Told]] = {}
        for name, told_at in await self._cache.lowest(_REPLICAS, _MOST_REPLICAS):
            if name == self._name:
                continue
            if now - told_at > _KEEP_SECONDS:
                await self._cache.unrank(_REPLICAS, name)
            elif (data := await self._cache.get(_key(name))) is not None:
                for key, told_record in _decode(data).items():
                    heard.setdefault(key, []).append(told_record)
        for key, others in heard.items():
            if self._records.of(key).hear(others, now):
                self.changed(key)


def _key(name: str) -> str:
    return f"router:records:{name}"
