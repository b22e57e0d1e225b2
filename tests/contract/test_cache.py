"""One suite for every cache: memory and Redis behave alike."""

import asyncio

import pytest

from shared.cache import Script, make_cache
from shared.errors import CacheUnavailable


def _take(memory, keys, args):
    have = memory.hash(keys[0])
    used = float(have.get("used", 0))
    if used + float(args[0]) > float(args[1]):
        return [0, str(used)]
    have["used"] = str(used + float(args[0]))
    memory.expire(keys[0], 60)
    return [1, have["used"]]


TAKE = Script(
    "take",
    """
    local used = tonumber(redis.call('HGET', KEYS[1], 'used') or '0')
    if used + tonumber(ARGV[1]) > tonumber(ARGV[2]) then return {0, tostring(used)} end
    redis.call('HSET', KEYS[1], 'used', used + tonumber(ARGV[1]))
    redis.call('EXPIRE', KEYS[1], 60)
    return {1, tostring(used + tonumber(ARGV[1]))}
    """,
    _take,
)


@pytest.fixture(params=["memory", "redis"])
async def cache(request):
    url = "memory://" if request.param == "memory" else request.getfixturevalue("redis_url")
    cache = make_cache(url)
    await cache.open()
    yield cache
    await cache.close()


async def test_a_value_is_kept_until_it_is_deleted(cache):
    assert await cache.get("a") is None
    assert await cache.set("a", b"1")
    assert await cache.get("a") == b"1"
    assert await cache.delete("a", "b") == 1
    assert await cache.get("a") is None


async def test_a_value_ends_with_its_lifetime(cache, eventually):
    await cache.set("a", b"1", ttl_seconds=0.05)

    async def gone():
        return await cache.get("a") is None

    await eventually(gone)


async def test_a_lifetime_can_be_renewed(cache):
    await cache.set("a", b"1", ttl_seconds=0.05)
    assert await cache.expire("a", 60)
    await asyncio.sleep(0.1)
    assert await cache.get("a") == b"1"
    assert not await cache.expire("b", 60)


async def test_only_one_of_many_sets_what_must_be_absent(cache):
    results = await asyncio.gather(*(cache.set("lock", b"x", ttl_seconds=5, only_if_absent=True) for _ in range(20)))
    assert results.count(True) == 1


async def test_the_lowest_ranked_come_first(cache):
    for member, score in (("c", 3), ("a", 1), ("b", 2)):
        await cache.rank("recent", member, score)
    await cache.rank("recent", "a", 9)
    assert await cache.lowest("recent", 2) == [("b", 2.0), ("c", 3.0)]
    assert await cache.unrank("recent", "b", "zzz") == 1
    assert await cache.ranked("recent") == 2


async def test_a_script_is_one_step_for_any_number_of_callers(cache):
    results = await asyncio.gather(*(cache.run(TAKE, ["pot"], [1, 50]) for _ in range(200)))
    assert sum(int(result[0]) for result in results) == 50


async def test_a_redis_that_is_away_is_told_at_once():
    cache = make_cache("redis://127.0.0.1:1/0")
    await cache.open()
    started = asyncio.get_running_loop().time()
    with pytest.raises(CacheUnavailable):
        await cache.get("a")
    assert asyncio.get_running_loop().time() - started < 1
    assert not cache.connected
    await cache.close()
