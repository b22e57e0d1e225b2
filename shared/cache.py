"""Shared short-lived state as the services see it: values with a lifetime, recency indexes, atomic scripts.

`cache_redis.py` and `cache_memory.py` behave alike and pass one contract suite. An operation on a cache that is away
raises CacheUnavailable within half a second; what that means is decided by the caller.
"""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Args = Sequence[str | int | float]


class MemoryView(Protocol):
    """What a script's Python half may do, all of it at once and without waiting."""

    def get(self, key: str) -> bytes | None: ...
    def set(
        self, key: str, value: bytes, *, ttl_seconds: float | None = None, only_if_absent: bool = False
    ) -> bool: ...
    def delete(self, *keys: str) -> int: ...
    def ttl(self, key: str) -> float | None:
        """Seconds a key still lives; None when it has no end or is not there."""

    def hash(self, key: str) -> dict[str, str]:
        """The hash at the key, made if absent; change it in place."""

    def expire(self, key: str, ttl_seconds: float) -> bool: ...
    def now(self) -> float:
        """Unix time."""


@dataclass(frozen=True)
class Script:
    """One atomic step, as Lua for Redis (KEYS, ARGV; times come in ARGV) and as Python for memory."""

    name: str
    lua: str
    python: Callable[[MemoryView, Sequence[str], Args], Any]


class Cache(Protocol):
    """The port."""

    @property
    def connected(self) -> bool: ...
    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def ping(self) -> None: ...
    async def get(self, key: str) -> bytes | None: ...
    async def set(
        self, key: str, value: bytes, *, ttl_seconds: float | None = None, only_if_absent: bool = False
    ) -> bool: ...
    async def delete(self, *keys: str) -> int: ...
    async def expire(self, key: str, ttl_seconds: float) -> bool: ...
    async def rank(self, index: str, member: str, score: float) -> None:
        """Put a member into a sorted set, or move it."""

    async def lowest(self, index: str, count: int) -> list[tuple[str, float]]: ...
    async def unrank(self, index: str, *members: str) -> int: ...
    async def ranked(self, index: str) -> int: ...
    async def run(self, script: Script, keys: Sequence[str], args: Args) -> Any: ...


def make_cache(url: str) -> Cache:
    """The cache that a URL names. Only the chosen one is imported: the embedded process needs no Redis client."""
    name = "shared.cache_memory" if url.startswith("memory:") else "shared.cache_redis"
    cache: Cache = importlib.import_module(name).make(url)
    return cache
