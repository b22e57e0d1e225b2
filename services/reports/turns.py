"""Whose turn it is to ask a data provider, over all worker processes: its free plan is one, however many we are.

One number per provider: when its bucket of requests would be full again (the generic cell rate algorithm).
"""

import math
from collections.abc import Sequence

from shared import clock
from shared.cache import Args, Cache, MemoryView, Script
from shared.errors import CacheUnavailable

PREFIX = "reports:turn:"

_LUA = """
local now, step, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
local wait = math.max(0, full - (burst - 1) * step - now)
redis.call('SET', KEYS[1], string.format('%.3f', full + step), 'PX', math.ceil(full + step - now))
return math.ceil(wait)
"""


def _take(view: MemoryView, keys: Sequence[str], args: Args) -> int:
    now, step, burst = (float(value) for value in args)
    full = max(float(view.get(keys[0]) or 0), now)
    wait = max(0.0, full - (burst - 1) * step - now)
    view.set(keys[0], f"{full + step:.3f}".encode(), ttl_seconds=math.ceil(full + step - now) / 1000)
    return math.ceil(wait)


TAKE = Script("reports_turn", _LUA, _take)


class SharedTurns:
    """Turns counted in the shared cache; while it is away every process keeps its own pace."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    async def wait_seconds(self, name: str, per_second: float, burst: float) -> float:
        """Takes the next turn with this provider and says how long to wait for it."""
        args = (clock.now() * 1000, 1000 / per_second, burst)
        try:
            return int(await self._cache.run(TAKE, [PREFIX + name], args)) / 1000
        except CacheUnavailable:
            return 0.0
