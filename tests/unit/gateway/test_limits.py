"""Rates and budgets hold, also under concurrency, and give back what was not used."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from services.gateway.limit_scripts import ADMIT, DAY, OK, RENEW, SEED, UNKNOWN_SPEND
from shared import clock
from shared.cache import Args, Script
from shared.cache_memory import MemoryCache
from shared.errors import CacheUnavailable
from tests.fakes.gateway import Gateway, ScriptedAnswer, opened

NANO = 1_000_000_000
COST = 8 * 0.0004 / 1000 + 14 * 0.002 / 1000  # of the scripted answer, at qwen-plus's built-in price
QWEN = {
    "providers": {"p": {"base_url": "http://p"}},
    "models": {"qwen-plus": {"targets": [{"provider": "p", "model": "qwen-plus"}]}},
}


async def test_requests_per_minute_are_refused_with_the_dialects_headers(gateway: Gateway) -> None:
    _, secret = await gateway.make_key(requests_per_minute=2)
    first = await gateway.chat(key=secret)
    assert (first.headers["x-ratelimit-limit-requests"], first.headers["x-ratelimit-remaining-requests"]) == ("2", "1")
    assert first.headers["x-ratelimit-reset-requests"].endswith("s")
    second = await gateway.messages(key=secret)
    assert second.headers["anthropic-ratelimit-requests-remaining"] == "0"
    refused = await gateway.chat(key=secret)
    assert refused.status == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert len(gateway.router.calls) == 2


async def test_tokens_per_minute_count_what_was_really_used(gateway: Gateway) -> None:
    _, secret = await gateway.make_key(tokens_per_minute=100)
    statuses = [(await gateway.chat(key=secret)).status for _ in range(8)]
    assert statuses[:3] == [200, 200, 200]
    assert statuses[-1] == 429


async def test_200_at_once_never_exceed_a_rate(gateway: Gateway) -> None:
    _, secret = await gateway.make_key(requests_per_minute=50)
    answers = await asyncio.gather(*(gateway.chat(key=secret) for _ in range(200)))
    assert sum(answer.status == 200 for answer in answers) == 50
    assert {answer.status for answer in answers} == {200, 429}


async def test_a_budget_is_used_up_to_its_limit_and_not_beyond(tmp_path: Path) -> None:
    async with opened(tmp_path, QWEN) as gateway:
        _, secret = await gateway.make_key(budget_per_day=COST * 5.5)
        statuses = [(await gateway.chat(key=secret, model="qwen-plus")).status for _ in range(8)]
        assert statuses == [200] * 5 + [402] * 3
        refused = await gateway.messages(key=secret, model="qwen-plus")
        assert refused.headers["x-should-retry"] == "false"
        assert refused.json()["error"]["type"] == "billing_error"


async def test_200_at_once_with_room_for_50_admit_at_most_50_and_some(tmp_path: Path) -> None:
    async with opened(tmp_path, QWEN) as gateway:
        key_id, secret = await gateway.make_key(budget_per_day=COST * 50)
        gateway.router.hold = asyncio.Event()
        running = [
            asyncio.ensure_future(gateway.chat(key=secret, model="qwen-plus", max_tokens=14)) for _ in range(200)
        ]
        async with asyncio.timeout(5):
            while sum(task.done() for task in running) + len(gateway.router.calls) < 200:
                await asyncio.sleep(0)
        budget = COST * 50
        standing = (await gateway.admin("GET", f"keys/{key_id}")).json()["standing"]
        assert standing["spent_today"] == 0
        assert budget * 0.8 < standing["reserved"] <= budget
        gateway.router.hold.set()
        answers = await asyncio.gather(*running)
        standing = (await gateway.admin("GET", f"keys/{key_id}")).json()["standing"]
        assert standing["reserved"] == 0
        assert 0 < standing["spent_today"] == standing["spent_this_month"] <= budget
        admitted = sum(answer.status == 200 for answer in answers)
        assert 20 <= admitted <= 50
        assert {answer.status for answer in answers} == {200, 402}
        later = [await gateway.chat(key=secret, model="qwen-plus", max_tokens=14) for _ in range(60)]
        assert (admitted + sum(answer.status == 200 for answer in later)) * COST <= COST * 50


async def test_a_model_without_a_price_counts_at_the_ceiling(tmp_path: Path) -> None:
    config = {
        "providers": {"p": {"base_url": "http://p"}},
        "models": {"m": {"targets": [{"provider": "p", "model": "odd"}]}},
    }
    async with opened(tmp_path, config) as gateway:
        _, secret = await gateway.make_key(budget_per_month=0.02)
        statuses = [(await gateway.chat(key=secret)).status for _ in range(4)]
        assert statuses[0] == 200
        assert statuses[-1] == 402


async def test_a_reservation_is_given_back_when_nothing_was_used(tmp_path: Path) -> None:
    async with opened(tmp_path, QWEN) as gateway:
        _, secret = await gateway.make_key(budget_per_day=COST * 2)
        gateway.router.script = lambda _: ScriptedAnswer(500, {}, [b"{}"])
        for _ in range(5):
            assert (await gateway.chat(key=secret, model="qwen-plus")).status == 500
        gateway.router.script = lambda _: RuntimeError("lost")
        for _ in range(5):
            assert (await gateway.chat(key=secret, model="qwen-plus")).status == 500
        gateway.router.script = gateway.router.plain
        assert (await gateway.chat(key=secret, model="qwen-plus")).status == 200


async def test_what_the_ledger_knows_counts_after_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path, QWEN) as gateway:
        key_id, secret = await gateway.make_key(budget_per_day=1)
        gateway.spend[key_id] = NANO
        refused = await gateway.chat(key=secret, model="qwen-plus")
        assert refused.status == 402
        assert "1 is spent" in refused.json()["error"]["message"]


async def test_an_orphaned_reservation_expires(gateway: Gateway) -> None:
    cache, now = gateway.resources.cache, clock.now()
    await cache.run(_SEEDED, ["k"], [])

    async def admit(at: float, reservation: str, nano: int = 80) -> int:
        args = [at, -1, -1, 1, 1, 1, 100, 1, -1, nano, nano, reservation, at + 30, 1000]
        return int((await cache.run(ADMIT, ["k"], args))[0])

    assert await admit(now, "one") == OK
    assert await admit(now + 1, "two") == DAY
    # What the lost request had used only the ledger knows: it is asked before anybody is let in again.
    assert await admit(now + 31, "three") == UNKNOWN_SPEND
    await cache.run(SEED, ["k"], [1, 30, 1, 30, 1000])
    assert await admit(now + 31, "three") == DAY
    assert await admit(now + 31, "four", nano=70) == OK


async def test_what_a_dead_process_had_spent_counts_from_the_moment_its_reservation_expires(tmp_path: Path) -> None:
    async with opened(tmp_path, QWEN) as gateway:
        key_id, secret = await gateway.make_key(budget_per_day=1)
        assert (await gateway.chat(key=secret, model="qwen-plus")).status == 200
        cache, name, long_ago = gateway.resources.cache, f"tollway:limits:{key_id}", clock.now() - 1
        await cache.run(RENEW, [name], [long_ago, "orphan", NANO // 2])
        gateway.spend[key_id] = NANO // 4
        standing = (await gateway.admin("GET", f"keys/{key_id}")).json()["standing"]
        assert standing == {"spent_today": 0.25, "spent_this_month": 0.25, "reserved": 0}


def _seed_windows(view: object, keys: object, args: object) -> int:
    view.hash("k").update(dw="1", mw="1", ds="0", ms="0")  # type: ignore[attr-defined]
    return 1


_SEEDED = Script("test_seeded", "", _seed_windows)


async def test_a_wait_is_never_longer_than_a_minute_and_then_there_is_room(gateway: Gateway) -> None:
    cache, began = gateway.resources.cache, 1_790_000_003.0

    async def admit(at: float) -> list[int]:
        args = [at, 3, -1, 1, 1, 1, -1, 1, -1, 0, 0, "r", at + 30, 1000]
        return list(await cache.run(ADMIT, ["waits"], args))

    assert [(await admit(began + second))[0] for second in (0, 1, 20, 30)] == [0, 0, 0, 1]
    wait = (await admit(began + 30))[5] / 1000
    assert 0 < wait <= 60
    assert (await admit(began + 30 + wait - 0.1))[0] == 1
    assert (await admit(began + 30 + wait))[0] == 0


class _Fickle(MemoryCache):
    """A shared cache that can go away."""

    away = False

    async def run(self, script: Script, keys: Sequence[str], args: Args) -> Any:
        self.connected = not self.away
        if self.away:
            raise CacheUnavailable
        return await super().run(script, keys, args)


async def test_a_process_left_alone_goes_on_counting_where_the_shared_count_stood(tmp_path: Path) -> None:
    cache = _Fickle()
    async with opened(tmp_path, QWEN, cache=cache) as gateway:
        _, rated = await gateway.make_key(requests_per_minute=5)
        _, poor = await gateway.make_key(budget_per_day=COST * 5.5)
        for _ in range(4):
            assert (await gateway.chat(key=rated)).status == 200
            assert (await gateway.chat(key=poor, model="qwen-plus")).status == 200
        cache.away = True
        assert [(await gateway.chat(key=rated)).status for _ in range(2)] == [200, 429]
        assert [(await gateway.chat(key=poor, model="qwen-plus")).status for _ in range(3)] == [200, 402, 402]
