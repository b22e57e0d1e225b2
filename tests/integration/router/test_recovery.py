"""A target that goes down and comes back, and names that try to be more than names."""

import asyncio
import json
import time

import pytest

from tests.fakes.model_script import SENTENCE
from tests.integration.router.conftest import Bench, read


async def test_traffic_leaves_after_one_failure_and_returns_after_one_probe(bench: Bench) -> None:
    bench.configure({"m": ["o/flap-0.6", "o/ok"]}, routing={"cooldown_seconds": 60, "probe_seconds": 0.2})
    bench.provider.forget()
    began, failures, back_at = time.monotonic(), 0, None
    while time.monotonic() - began < 4:
        answer = await bench.ask("m")
        assert answer.status == 200
        failures += len([call for call in bench.provider.of("flap-0.6") if call.status == 503])
        if answer.headers["x-tollway-model"] == "flap-0.6":
            back_at = time.monotonic() - began
            break
        await asyncio.sleep(0.01)
    assert back_at is not None
    assert 0.6 <= back_at <= 0.6 + 0.2 + 0.3
    asked = len(bench.provider.of("flap-0.6"))
    assert asked <= 6, "one live request each probe_seconds, no hammering"
    told = await bench.part.router.explain()
    assert all(target["state"] == "ok" for target in told["models"]["m"]["targets"])
    assert [(await bench.ask("m")).headers["x-tollway-model"] for _ in range(5)] == ["flap-0.6"] * 5


async def test_a_probe_is_one_request_even_when_many_come_at_once(bench: Bench) -> None:
    bench.configure({"m": ["o/s503", "o/ok"]}, routing={"cooldown_seconds": 60, "probe_seconds": 0.1})
    await bench.ask("m")
    await asyncio.sleep(0.15)
    bench.provider.forget()
    await asyncio.gather(*(bench.ask("m") for _ in range(10)))
    assert len(bench.provider.of("s503")) == 1


async def test_an_ill_model_with_fallbacks_is_tried_once_and_not_waited_for(bench: Bench) -> None:
    bench.configure({"m": ["o/s503", ">f"], "f": "a/ok"}, routing={"cooldown_seconds": 60})
    assert (await bench.ask("m")).headers["x-tollway-attempts"] == "4"
    assert (await bench.ask("m")).headers["x-tollway-attempts"] == "2"


@pytest.mark.parametrize("name", ["a\r\nx-evil: 1", "模型", "a\x00b"])
async def test_a_name_cannot_begin_a_header(bench: Bench, name: str) -> None:
    bench.configure({name: "o/ok"})
    body = json.dumps({"model": name, "messages": []}).encode()
    bench.live.replace(bench.config(models={name: {"targets": [{"provider": "o", "model": f"ok@{name}"}]}}))
    answer = await bench.ask(name, body=body)
    assert answer.status == 200
    for value in answer.headers.values():
        assert value.isascii()
        assert value.isprintable()


async def test_a_body_of_many_megabytes_goes_through(bench: Bench) -> None:
    bench.configure({"m": "o/ok"}, routing={"timeouts": {"first_byte": 10}})
    answer = await bench.ask("m", "x" * (3 << 20))
    assert SENTENCE in (await read(answer)).decode()


async def test_unknown_models_are_told_in_either_dialect(bench: Bench) -> None:
    answer = await bench.ask("nobody", dialect="anthropic")
    body = json.loads(await read(answer))
    assert (answer.status, body["error"]["type"]) == (404, "not_found_error")


async def test_deadlines_bound_a_silent_provider(bench: Bench) -> None:
    bench.configure({"m": "o/hang"}, routing={"timeouts": {"first_byte": 0.2}})
    began = time.monotonic()
    answer = await bench.ask("m", stream=True)
    assert answer.status == 504
    assert time.monotonic() - began < 1


async def test_a_provider_that_nobody_serves_is_unreachable_and_tried_within_bounds(bench: Bench) -> None:
    dead = {"protocol": "openai", "base_url": "http://127.0.0.1:1/v1", "api_key": "sk-secret-key-1"}
    bench.configure({"m": "dead/x"}, providers={"dead": dead}, routing={"retries": 1})
    answer = await bench.ask("m")
    body = await read(answer)
    assert answer.status == 502
    assert answer.headers["x-tollway-attempts"] == "2"
    assert b"secret" not in body
