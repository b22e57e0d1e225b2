"""While the shared cache is away requests go on, each process counting by itself."""

from pathlib import Path

from shared import clock
from shared.cache import make_cache
from tests.fakes.gateway import opened

NOWHERE = "redis://127.0.0.1:1"
PRICED = {
    "providers": {"p": {"protocol": "anthropic", "base_url": "http://p"}},
    "models": {"qwen-plus": {"targets": [{"provider": "p", "model": "qwen-plus"}]}},
    "cache": {"enabled": True},
}


async def test_requests_sessions_limits_and_budgets_go_on_within_a_second(tmp_path: Path) -> None:
    cache = make_cache(NOWHERE)
    async with opened(tmp_path, PRICED, cache=cache) as gateway:
        _, limited = await gateway.make_key(requests_per_minute=3)
        key_id, poor = await gateway.make_key(budget_per_day=0.0001)
        began = clock.monotonic()
        assert (await gateway.chat(session_id="s", key=limited)).status == 200
        assert clock.monotonic() - began < 1
        answer = await gateway.chat(model="qwen-plus", key=limited)
        assert (answer.status, answer.headers["x-tollway-cache"]) == (200, "miss")
        assert (await gateway.chat(key=limited)).status == 200
        assert (await gateway.chat(key=limited)).status == 429
        statuses = [(await gateway.chat(model="qwen-plus", key=poor)).status for _ in range(5)]
        assert statuses[0] == 200
        assert statuses[-1] == 402
        gateway.spend[key_id] = 1_000_000_000
        assert not cache.connected
    await cache.close()
