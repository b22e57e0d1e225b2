"""Two replicas on a real Redis learn from each other's failures."""

from services.router.catalog import Target
from services.router.record import Records
from services.router.store import SharedRecords
from shared import clock
from shared.cache import make_cache


async def test_a_cooldown_and_its_end_travel_over_redis(redis_url: str) -> None:
    caches = [make_cache(redis_url), make_cache(redis_url)]
    for cache in caches:
        await cache.open()
    try:
        records = [Records(), Records()]
        one, other = (SharedRecords(r, c, lambda: 15.0) for r, c in zip(records, caches, strict=True))
        now = clock.now()
        records[0].of("o/m").failed(now, "down", cooldown_seconds=300, probe_seconds=15)
        one.changed("o/m")
        await one.exchange()
        await other.exchange()
        assert records[1].of("o/m").is_cooling(now + 1)
        assert [await shared.claim_probe(Target("o", "m")) for shared in (one, other)] == [True, False]
        records[1].of("o/m").succeeded(now + 20, began_at=now + 19, ttft_ms=None)
        other.changed("o/m")
        await other.exchange()
        await one.exchange()
        assert not records[0].of("o/m").is_cooling(now + 21)
    finally:
        for cache in caches:
            await cache.close()
