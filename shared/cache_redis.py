"""The cache on Redis, the only home of its client. Every operation has a deadline and fails as CacheUnavailable."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar, cast

from redis import asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import ConnectionError, RedisError  # noqa: A004 -- the library's own

from shared import clock
from shared.cache import Args, Script
from shared.errors import CacheUnavailable

T = TypeVar("T")

ANSWER_SECONDS = 0.7  # a request goes on without the cache within a second
DEADLINE_SECONDS = 5.0  # with the wait for a connection, while others are answered
CONNECTIONS = 8  # a burst waits for one of a few: opening many at once would cost more than the wait
# After a failure we answer at once for this long, so that a dead Redis costs one deadline and not one per request.
REST_SECONDS = 1.0


def make(url: str) -> "RedisCache":
    """A cache on the Redis of this URL."""
    return RedisCache(url)


class RedisCache:
    """See shared.cache."""

    def __init__(self, url: str) -> None:
        pool = aioredis.ConnectionPool.from_url(
            url,
            socket_timeout=ANSWER_SECONDS,
            socket_connect_timeout=ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 1, (ConnectionError,)),  # a connection that was closed while it lay idle
            health_check_interval=15,
            max_connections=CONNECTIONS,
        )
        self._client: aioredis.Redis = aioredis.Redis.from_pool(pool)
        self._places = asyncio.Semaphore(CONNECTIONS)
        self._scripts: dict[str, AsyncScript] = {}
        self._rest_until = 0.0
        self._answered_at = 0.0
        self.connected = False

    async def open(self) -> None:
        """Try once; every later operation tries by itself."""
        try:
            await self.ping()
        except CacheUnavailable:
            return

    async def close(self) -> None:
        """Close the pool."""
        await self._client.aclose()

    async def ping(self) -> None:
        """Whether it answers; asks even while resting."""
        self._rest_until = 0.0
        await self._do(lambda: self._client.ping())

    async def get(self, key: str) -> bytes | None:
        """The value."""
        return cast("bytes | None", await self._do(lambda: self._client.get(key)))

    async def set(
        self, key: str, value: bytes, *, ttl_seconds: float | None = None, only_if_absent: bool = False
    ) -> bool:
        """Store a value."""
        px = None if ttl_seconds is None else max(1, int(ttl_seconds * 1000))
        return bool(await self._do(lambda: self._client.set(key, value, px=px, nx=only_if_absent)))

    async def delete(self, *keys: str) -> int:
        """Remove keys."""
        return int(await self._do(lambda: self._client.delete(*keys))) if keys else 0

    async def expire(self, key: str, ttl_seconds: float) -> bool:
        """A new lifetime."""
        return bool(await self._do(lambda: self._client.pexpire(key, max(1, int(ttl_seconds * 1000)))))

    async def rank(self, index: str, member: str, score: float) -> None:
        """Put or move."""
        await self._do(lambda: self._client.zadd(index, {member: score}))

    async def lowest(self, index: str, count: int) -> list[tuple[str, float]]:
        """The members with the lowest scores."""
        if count <= 0:
            return []
        found = await self._do(lambda: self._client.zrange(index, 0, count - 1, withscores=True))
        pairs = cast("list[tuple[bytes, float]]", found)
        return [(_text(member), float(score)) for member, score in pairs]

    async def unrank(self, index: str, *members: str) -> int:
        """Take members out."""
        return int(await self._do(lambda: self._client.zrem(index, *members))) if members else 0

    async def ranked(self, index: str) -> int:
        """How many members."""
        return int(await self._do(lambda: self._client.zcard(index)))

    async def run(self, script: Script, keys: Sequence[str], args: Args) -> Any:
        """One atomic step on the server."""
        known = self._scripts.get(script.name)
        if known is None:
            known = self._scripts[script.name] = self._client.register_script(script.lua)
        return await self._do(lambda: known(keys=list(keys), args=list(args)))

    async def _do(self, operation: Callable[[], Awaitable[T]]) -> T:
        began = clock.monotonic()
        try:
            async with asyncio.timeout(DEADLINE_SECONDS), self._places:
                if clock.monotonic() < self._rest_until:
                    raise CacheUnavailable
                found = await operation()
        except (RedisError, OSError, TimeoutError) as error:
            if self._answered_at < began:  # what answered others meanwhile is slow, not away
                self.connected = False
                self._rest_until = clock.monotonic() + REST_SECONDS
            raise CacheUnavailable from error
        self.connected = True
        self._answered_at = clock.monotonic()
        return found


def _text(value: bytes) -> str:
    return value.decode()
