"""The background look at providers."""

import asyncio

from services.router.probe import Probe
from tests.integration.router.conftest import Bench


async def until(holds: object, seconds: float = 3) -> None:
    async with asyncio.timeout(seconds):
        while not await holds():  # type: ignore[operator]
            await asyncio.sleep(0.02)


async def test_a_provider_that_is_down_is_left_alone_before_a_client_finds_out(bench: Bench) -> None:
    dead = {"protocol": "openai", "base_url": "http://127.0.0.1:1/v1"}
    bench.configure({"m": ["dead/x", "o/ok"]}, providers={"dead": dead})
    router = bench.part.router
    await Probe(router._inventory, router._planner._records).check_all()
    told = await router.explain()
    assert [target["provider"] for target in told["models"]["m"]["targets"]] == ["o", "dead"]
    assert "cannot be reached" in told["providers"]["dead"]["error"]
    assert told["providers"]["o"]["error"] is None
    assert (await bench.ask("m")).headers["x-tollway-attempts"] == "1"


async def test_a_provider_without_a_list_is_not_thought_ill(bench: Bench) -> None:
    bare = {"protocol": "openai", "base_url": f"{bench.provider.url}/bare"}
    bench.configure({"m": "bare/x"}, providers={"bare": bare})
    router = bench.part.router
    await Probe(router._inventory, router._planner._records).check_all()
    told = await router.explain()
    assert told["models"]["m"]["targets"][0]["state"] == "ok"
    assert told["providers"]["bare"]["error"] == "answered 404"


async def test_lists_are_read_again_when_their_time_is_over(bench: Bench) -> None:
    short = bench.config(routing={"model_list_seconds": 0.2}).model_copy(update={"models": {}})
    bench.live.replace(short)
    running = asyncio.ensure_future(bench.part.workers["probe"]())

    async def offers(name: str) -> bool:
        return name in [info.id for info in await bench.part.router.models()]

    await until(lambda: offers("ok"))
    bench.provider.models = ("brand-new",)
    await until(lambda: offers("brand-new"))
    assert not await offers("echo")
    running.cancel()


async def test_a_new_provider_is_looked_at_without_waiting(bench: Bench) -> None:
    running = asyncio.ensure_future(bench.part.workers["probe"]())
    bench.live.replace(bench.config().model_copy(update={"models": {}}))

    async def read() -> bool:
        return bench.provider.listed > 0

    await until(read)
    running.cancel()
