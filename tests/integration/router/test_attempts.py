"""The order of attempts, to the letter of the contract."""

import json

import pytest

from tests.fakes.model_script import SENTENCE
from tests.integration.router.conftest import Bench, read

FAULTS = ["s429", "s500", "s503", "s529", "reset", "hang", "badfirst", "empty", "json200", "html502", "cutbody"]
STREAM_FAULTS = [
    "s429",
    "s500",
    "s503",
    "s529",
    "reset",
    "hang",
    "badfirst",
    "empty",
    "json200",
    "errfirst",
    "slowfirst-5",
]
QUICK = {"connect": 1, "first_byte": 0.15, "idle": 0.3, "total": 5}


@pytest.mark.parametrize("protocol", ["o", "a"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_second_target_answers_when_the_first_fails(bench: Bench, fault: str, protocol: str) -> None:
    bench.configure({"m": [f"{protocol}/{fault}", f"{protocol}/ok"]}, routing={"timeouts": QUICK})
    answer = await bench.ask("m", dialect="openai" if protocol == "o" else "anthropic")
    assert SENTENCE in (await read(answer)).decode()
    assert (answer.status, answer.headers["x-tollway-attempts"]) == (200, "2")
    assert [event.status for event in bench.spool.ended] == ["error", "ok"]
    assert [event.attempt for event in bench.spool.ended] == [1, 2]
    assert bench.spool.ended[0].error_msg
    assert bench.spool.ended[0].usage_source == ("estimated" if fault == "cutbody" else "none")
    assert (bench.spool.ended[0].usage is None) == (fault != "cutbody")


@pytest.mark.parametrize("protocol", ["o", "a"])
@pytest.mark.parametrize("fault", STREAM_FAULTS)
async def test_a_stream_switches_before_its_first_content(bench: Bench, fault: str, protocol: str) -> None:
    bench.configure({"m": [f"{protocol}/{fault}", f"{protocol}/ok"]}, routing={"timeouts": QUICK})
    dialect = "openai" if protocol == "o" else "anthropic"
    answer = await bench.ask("m", dialect=dialect, stream=True)
    body = await read(answer)
    assert answer.headers["x-tollway-attempts"] == "2"
    assert b"error" not in body
    assert body.count(b"message_start" if protocol == "a" else b'"role": "assistant"') == (2 if protocol == "a" else 1)
    assert [event.status for event in bench.spool.ended] == ["error", "ok"]


@pytest.mark.parametrize("fault", ["s500", "s429", "reset", "badfirst", "json200", "html502"])
async def test_without_another_target_the_same_is_asked_again_so_often_and_no_more(bench: Bench, fault: str) -> None:
    bench.configure({"m": f"o/{fault}"}, routing={"retries": 1})
    answer = await bench.ask("m")
    body = json.loads(await read(answer))
    assert answer.status >= 400
    assert body["error"]["message"]
    assert answer.headers["x-tollway-attempts"] == "2"
    assert len(bench.provider.calls) == len(bench.spool.ended) == 2


@pytest.mark.parametrize("fault", ["hang", "s400", "s404", "s413", "s401", "s403", "ctx", "filter"])
async def test_a_target_that_was_silent_or_refused_is_not_asked_twice(bench: Bench, fault: str) -> None:
    bench.configure({"m": f"o/{fault}"}, routing={"timeouts": QUICK})
    answer = await bench.ask("m")
    await read(answer)
    assert len(bench.provider.calls) == 1
    assert answer.headers["x-tollway-attempts"] == "1"


async def test_a_flaky_target_answers_in_the_end(bench: Bench) -> None:
    bench.configure({"m": "o/flaky-2"})
    answer = await bench.ask("m")
    assert (answer.status, answer.headers["x-tollway-attempts"]) == (200, "3")


@pytest.mark.parametrize(("fault", "attempts"), [("s500", 4), ("s400", 2), ("ctx", 2), ("hang", 2), ("s401", 2)])
async def test_fallbacks_come_after_the_model_each_once(bench: Bench, fault: str, attempts: int) -> None:
    bench.configure({"m": [f"o/{fault}", ">f", ">g"], "f": "a/ok", "g": "o/ok"}, routing={"timeouts": QUICK})
    answer = await bench.ask("m")
    assert SENTENCE in (await read(answer)).decode()
    assert answer.headers["x-tollway-attempts"] == str(attempts)
    assert answer.headers["x-tollway-provider"] == "a"


async def test_all_fallbacks_are_asked_once(bench: Bench) -> None:
    bench.configure({"m": ["o/s500", ">f", ">g"], "f": "a/s503", "g": "o/s429"}, routing={"retries": 0})
    answer = await bench.ask("m")
    assert [call.model for call in bench.provider.calls] == ["s500", "s503", "s429"]
    assert answer.status == 429


async def test_a_content_filter_goes_to_the_client_at_once(bench: Bench) -> None:
    bench.configure({"m": ["o/filter", "o/ok", ">f"], "f": "a/ok"})
    answer = await bench.ask("m")
    assert (answer.status, answer.headers["x-tollway-attempts"]) == (400, "1")
    assert json.loads(await read(answer))["error"]["code"] == "content_policy_violation"


async def test_a_context_refusal_skips_the_models_other_targets(bench: Bench) -> None:
    bench.configure({"m": ["o/ctx", "o/ok", ">f"], "f": "a/ok"})
    answer = await bench.ask("m")
    assert answer.headers["x-tollway-attempts"] == "2"
    assert answer.headers["x-tollway-provider"] == "a"


@pytest.mark.parametrize("fault", ["s401", "s403"])
async def test_rejected_credentials_of_ours_are_our_fault(bench: Bench, fault: str) -> None:
    bench.configure({"m": f"o/{fault}"})
    answer = await bench.ask("m")
    body = await read(answer)
    assert answer.status == 502
    assert json.loads(body)["error"]["code"] == "provider_auth"
    assert b"sk-" not in body


async def test_a_long_retry_after_is_not_waited_for(bench: Bench) -> None:
    bench.configure({"m": "o/retry-60"})
    answer = await bench.ask("m")
    assert (answer.status, answer.headers["retry-after"]) == (429, "60")
    assert len(bench.provider.calls) == 1


async def test_a_short_retry_after_is_waited_for(bench: Bench) -> None:
    bench.configure({"m": "o/retry-1"}, routing={"retries": 1})
    await bench.ask("m")
    first, second = bench.provider.calls
    assert second.t - first.t >= 0.95


async def test_cooling_targets_are_asked_last_but_never_refused(bench: Bench) -> None:
    bench.configure({"m": ["o/flap-60", "o/ok"], "ill": "o/flap-60"}, routing={"retries": 1})
    assert (await bench.ask("m")).headers["x-tollway-attempts"] == "2"
    assert (await bench.ask("m")).headers["x-tollway-attempts"] == "1"
    assert (await bench.ask("ill")).headers["x-tollway-attempts"] == "2"


async def test_an_error_body_of_the_same_dialect_is_relayed_byte_for_byte(bench: Bench) -> None:
    bench.configure({"m": "a/s400"})
    answer = await bench.ask("m", dialect="anthropic")
    wanted = {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "scripted 400"},
        "request_id": "req_fake",
    }
    assert await read(answer) == json.dumps(wanted).encode()


async def test_auto_goes_on_to_another_model(bench: Bench) -> None:
    bench.configure({"bad": "o/s500", "good": "o/ok"}, routing={"retries": 0})
    answer = await bench.ask("auto")
    assert SENTENCE in (await read(answer)).decode()
    bench.provider.forget()
    answer = await bench.ask("auto")
    assert [call.model for call in bench.provider.calls] == ["ok"]


async def test_unknown_names_are_refused_or_taken_for_auto(bench: Bench) -> None:
    bench.configure({"m": "o/ok"})
    answer = await bench.ask("nobody")
    assert (answer.status, json.loads(await read(answer))["error"]["code"]) == (404, "model_not_found")
    assert not bench.provider.calls
    bench.configure({"m": "o/ok"}, routing={"unknown_model": "auto"})
    answer = await bench.ask("nobody")
    assert answer.headers["x-tollway-model"] == "ok"
    assert json.loads(await read(answer))["model"] == "ok"


async def test_the_demo_answers_only_when_there_is_nothing_else(bench: Bench) -> None:
    bench.configure({"m": "o/ok"})
    assert (await bench.ask("auto")).headers["x-tollway-provider"] == "o"
    bench.live.replace(bench.config(models={}).model_copy(update={"providers": {}, "models": {}}))
    answer = await bench.ask("auto")
    assert answer.headers["x-tollway-provider"] == "demo"
    assert "[demo]" in (await read(answer)).decode()
