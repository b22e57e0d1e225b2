"""The cache within one process: the same lifetimes and atomicity as Redis, for the embedded composition and tests."""

import heapq
from collections.abc import Sequence
from typing import Any

from shared import clock
from shared.cache import Args, Script

SWEEP_EVERY_WRITES = 1024


def make(_: str) -> "MemoryCache":
    """A cache of this process."""
    return MemoryCache()


class MemoryView:
    """The values and when they end. Ended ones are not there, and are swept now and then."""

    def __init__(self) -> None:
        self._values: dict[str, bytes | dict[str, str]] = {}
        self._ends: dict[str, float] = {}
        self._writes = 0

    def now(self) -> float:
        """Unix time."""
        return clock.now()

    def get(self, key: str) -> bytes | None:
        """The value, if it is a value and still alive."""
        self._drop_ended(key)
        found = self._values.get(key)
        return found if isinstance(found, bytes) else None

    def set(self, key: str, value: bytes, *, ttl_seconds: float | None = None, only_if_absent: bool = False) -> bool:
        """Store; False when it was there and should not have been."""
        self._drop_ended(key)
        if only_if_absent and key in self._values:
            return False
        self._values[key] = value
        self._ends.pop(key, None)
        if ttl_seconds is not None:
            self._ends[key] = clock.monotonic() + ttl_seconds
        self._wrote()
        return True

    def delete(self, *keys: str) -> int:
        """How many of them were there."""
        gone = 0
        for key in keys:
            self._drop_ended(key)
            self._ends.pop(key, None)
            gone += self._values.pop(key, None) is not None
        return gone

    def ttl(self, key: str) -> float | None:
        """Seconds left."""
        end = self._ends.get(key)
        return None if end is None else max(0.0, end - clock.monotonic())

    def expire(self, key: str, ttl_seconds: float) -> bool:
        """Give a key a new lifetime."""
        self._drop_ended(key)
        if key not in self._values:
            return False
        self._ends[key] = clock.monotonic() + ttl_seconds
        return True

    def hash(self, key: str) -> dict[str, str]:
        """The hash, made if absent."""
        self._drop_ended(key)
        found = self._values.get(key)
        if not isinstance(found, dict):
            found = self._values[key] = {}
            self._wrote()
        return found

    def __len__(self) -> int:
        return len(self._values)

    def _drop_ended(self, key: str) -> None:
        end = self._ends.get(key)
        if end is not None and end <= clock.monotonic():
            self._values.pop(key, None)
            self._ends.pop(key, None)

    def _wrote(self) -> None:
        self._writes += 1
        if self._writes % SWEEP_EVERY_WRITES == 0:
            for key in list(self._ends):
                self._drop_ended(key)


class MemoryCache:
    """See shared.cache."""

    def __init__(self) -> None:
        self._view = MemoryView()
        self._sets: dict[str, dict[str, float]] = {}
        self.connected = True

    async def open(self) -> None:
        """There is nothing to connect to."""

    async def close(self) -> None:
        """There is nothing to close."""

    async def ping(self) -> None:
        """Always there."""

    async def get(self, key: str) -> bytes | None:
        """The value."""
        return self._view.get(key)

    async def set(
        self, key: str, value: bytes, *, ttl_seconds: float | None = None, only_if_absent: bool = False
    ) -> bool:
        """Store a value."""
        return self._view.set(key, value, ttl_seconds=ttl_seconds, only_if_absent=only_if_absent)

    async def delete(self, *keys: str) -> int:
        """Remove keys."""
        return self._view.delete(*keys)

    async def expire(self, key: str, ttl_seconds: float) -> bool:
        """A new lifetime."""
        return self._view.expire(key, ttl_seconds)

    async def rank(self, index: str, member: str, score: float) -> None:
        """Put or move."""
        self._sets.setdefault(index, {})[member] = score

    async def lowest(self, index: str, count: int) -> list[tuple[str, float]]:
        """The members with the lowest scores."""
        items = self._sets.get(index, {}).items()
        return heapq.nsmallest(count, items, key=lambda item: (item[1], item[0]))

    async def unrank(self, index: str, *members: str) -> int:
        """Take members out."""
        found = self._sets.get(index, {})
        return sum(found.pop(member, None) is not None for member in members)

    async def ranked(self, index: str) -> int:
        """How many members."""
        return len(self._sets.get(index, {}))

    async def run(self, script: Script, keys: Sequence[str], args: Args) -> Any:
        """One atomic step: nothing else runs in between, since it does not wait."""
        return script.python(self._view, keys, args)
