"""The atomic steps do the same in Redis and in memory, whatever comes in which order."""

import random
from typing import Any

import pytest

from services.gateway import limit_scripts as scripts
from services.gateway.sessions import _SWAP
from shared.cache import Cache, make_cache
from tests.fakes.gateway import opened

STEPS = 400


def step(dice: random.Random, now: float, known: list[str]) -> tuple[Any, list[Any]]:
    kind = dice.random()
    day = now // 300 * 300
    if kind < 0.55 or not known:
        known.append(f"r{len(known)}")
        wanted = dice.randrange(1, 5_000_000_000)
        limits = [dice.choice([-1, 5, 50]), dice.choice([-1, 1000])]
        tokens = [dice.randrange(1, 300), 1]
        money = [day, dice.choice([-1, 20_000_000_000_123]), day, dice.choice([-1, 9_000_000_000])]
        return scripts.ADMIT, [
            now,
            *limits,
            *tokens,
            *money,
            wanted,
            dice.choice([1, wanted]),
            known[-1],
            now + 30,
            1000,
        ]
    if kind < 0.75:
        settled = known.pop(dice.randrange(len(known)))
        return scripts.SETTLE, [
            now,
            settled,
            int(now // 5),
            dice.randrange(-200, 200),
            dice.randrange(3_000_000_000),
            1000,
        ]
    if kind < 0.85:
        return scripts.RENEW, [now + 30, dice.choice(known), dice.randrange(1, 1_000_000)]
    if kind < 0.88:
        return scripts.CATCH_UP, [now, dice.randrange(8), dice.randrange(400), 1000]
    if kind < 0.93:
        return scripts.LOOK, [now, day, day]
    return scripts.SEED, [day, dice.randrange(2_000_000_000), day, dice.randrange(2_000_000_000), 1000]


@pytest.mark.parametrize("seed", range(4))
async def test_redis_and_memory_agree_on_every_step(redis_url: str, seed: int) -> None:
    redis, memory = make_cache(redis_url), make_cache("memory://")
    await redis.open()
    dice, now, known = random.Random(seed), 1_790_000_000.0, list[str]()
    try:
        for number in range(STEPS):
            now += dice.choice([0.0, 0.25, 1.0, 17.5, 61.0 if number % 40 == 0 else 0.5])
            script, args = step(dice, now, known)
            told = [await cache.run(script, [f"limits-{seed}"], args) for cache in (redis, memory)]
            assert told[0] == told[1], (number, script.name, args)
    finally:
        await redis.close()


@pytest.mark.parametrize("kind", ["redis", "memory"])
async def test_a_session_is_swapped_only_when_nobody_was_faster(redis_url: str, kind: str) -> None:
    cache: Cache = make_cache(redis_url if kind == "redis" else "memory://")
    await cache.open()
    packed: Any = b"1|\x00\xff\x80binary"
    try:
        assert await cache.run(_SWAP, ["session"], ["0", packed, 60_000]) == 1
        assert await cache.run(_SWAP, ["session"], ["0", packed, 60_000]) == 0
        assert await cache.run(_SWAP, ["session"], ["1", b"2|x", 60_000]) == 1
        assert await cache.get("session") == b"2|x"
    finally:
        await cache.close()


async def test_two_replicas_share_sessions_and_limits_and_one_that_is_gone_takes_nothing_along(
    redis_url: str, tmp_path: Any
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'shared.db'}"
    caches = [make_cache(redis_url), make_cache(redis_url)]
    for name, cache in zip("ab", caches, strict=True):
        (tmp_path / name).mkdir()
        await cache.open()
    try:
        async with opened(tmp_path / "b", cache=caches[1], database_url=url) as two:
            async with opened(tmp_path / "a", cache=caches[0], database_url=url) as one:
                _, secret = await one.make_key(requests_per_minute=3)
                await one.chat("q0", session_id="s", key=secret)
            await two.part.workers["keys"].__self__.look()
            second = await two.chat("q1", session_id="s", key=secret)
            assert second.headers["x-ratelimit-remaining-requests"] == "1"
            assert two.router.calls[-1].body.count(b"role") == 3
            await two.chat(key=secret)
            assert (await two.chat(key=secret)).status == 429
    finally:
        for cache in caches:
            await cache.close()
