"""Whatever happens, in whatever order: as many attempts booked as the provider got calls, each exactly once."""

import asyncio
import random
from collections import Counter

from tests.integration.router.conftest import Bench

BEHAVIOURS = [
    "ok",
    "slow-20",
    "cut",
    "stall",
    "s500",
    "s429",
    "hang",
    "reset",
    "errstream",
    "badfirst",
    "nodone",
    "empty",
]
QUICK = {"connect": 1, "first_byte": 0.3, "idle": 0.3, "total": 3}


async def one_client(bench: Bench, dice: random.Random) -> None:
    """Asks for something, and perhaps leaves at some moment."""
    protocol, behaviour = dice.choice("oa"), dice.choice(BEHAVIOURS)
    patience = dice.choice([0.01, 0.05, 0.2, 5.0])
    dialect = dice.choice(["openai", "anthropic"])
    try:
        async with asyncio.timeout(patience):
            answer = await bench.ask(f"{protocol}-{behaviour}", dialect=dialect, stream=dice.random() < 0.7)
            try:
                async for _ in answer.chunks:
                    pass
            finally:
                await answer.close()
    except TimeoutError:
        pass


async def test_every_call_of_the_provider_is_booked_exactly_once_under_a_storm(bench: Bench) -> None:
    models: dict[str, str | list[str]] = {f"{p}-{b}": [f"{p}/{b}", ">ok"] for p in "oa" for b in BEHAVIOURS}
    bench.configure({**models, "ok": "o/ok"}, routing={"timeouts": QUICK, "retries": 1, "cooldown_seconds": 0.2})
    dice = random.Random(20261121)
    await asyncio.gather(*(one_client(bench, random.Random(dice.random())) for _ in range(250)))
    assert bench.spool.running == 0
    begun, ended = Counter(s.event_id for s in bench.spool.started), Counter(e.event_id for e in bench.spool.ended)
    assert begun == ended
    assert max(ended.values()) == 1
    # An attempt that ended before its request was on the wire (left, or no connection in time) is one the provider never saw.
    unseen = len(ended) - len(bench.provider.calls)
    assert 0 <= unseen <= sum(event.status != "ok" and event.usage is None for event in bench.spool.ended)
    for event in bench.spool.ended:
        assert event.status in ("ok", "error", "aborted")
        assert (event.usage is None) == (event.usage_source == "none")
        assert event.error_msg or event.status == "ok"
