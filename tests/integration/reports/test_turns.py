"""The pace of a provider over several processes, on both caches."""

import pytest

from services.reports.turns import SharedTurns
from shared.cache import make_cache


@pytest.fixture(params=["memory", "redis"])
async def caches(request):
    """Two clients of one cache, as two worker processes have them."""
    if request.param == "memory":
        one = make_cache("memory://")
        made = [one, one]
    else:
        url = request.getfixturevalue("redis_url")
        made = [make_cache(url), make_cache(url)]
    for cache in set(made):
        await cache.open()
    yield made
    for cache in set(made):
        await cache.close()


async def test_two_processes_share_the_burst_and_the_pace_of_a_provider(caches, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("services.reports.turns.clock.now", lambda: now[0])
    first, second = map(SharedTurns, caches)
    waits = [await turns.wait_seconds("coingecko", 2.0, 3.0) for turns in (first, second, first, second, first)]
    assert waits == [0.0, 0.0, 0.0, 0.5, 1.0]
    assert await second.wait_seconds("defillama", 2.0, 3.0) == 0.0
    now[0] += 60
    assert await first.wait_seconds("coingecko", 2.0, 3.0) == 0.0


async def test_while_the_cache_is_away_nobody_waits_for_the_others():
    away = make_cache("redis://127.0.0.1:9/0")
    await away.open()
    assert await SharedTurns(away).wait_seconds("coingecko", 2.0, 3.0) == 0.0
    await away.close()
