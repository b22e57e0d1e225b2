"""What reaches a provider and what of it comes back: bytes, headers, credentials, lists, other operations."""

import json
from typing import Any

import pytest

from shared.messages.gateway import Byo
from tests.integration.router.conftest import Bench, call_for, read

ODD = b'{"model" : "m", "messages":[ {"role":"user","content":"hi \\u00e9"} ],  "x_big":12345678901234567890123, "odd":1.10,"e":1E-7, "n":null}'


async def test_request_bytes_change_in_the_models_name_only(bench: Bench) -> None:
    bench.configure({"m": "o/raw"})
    answer = await bench.ask("m", body=ODD)
    body = json.loads(await read(answer))
    assert body["choices"][0]["message"]["content"].encode() == ODD.replace(b'"m"', b'"raw"', 1)


async def test_a_stream_asks_for_usage_and_changes_nothing_else(bench: Bench) -> None:
    bench.configure({"m": "o/ok"})
    sent = ODD[:-1] + b', "stream": true}'
    await read(await bench.part.router.call(call_for("m", body=sent, stream=True)))
    wanted = ODD[:-1].replace(b'"m"', b'"ok"', 1) + b', "stream": true,"stream_options":{"include_usage":true}}'
    assert bench.provider.calls[0].body.encode() == wanted


async def test_the_other_dialects_bytes_go_through_too(bench: Bench) -> None:
    bench.configure({"m": "a/ok"})
    sent = ODD[:-1] + b', "max_tokens": 5}'
    await bench.ask("m", dialect="anthropic", body=sent)
    assert bench.provider.calls[0].body.encode() == sent.replace(b'"m"', b'"ok"', 1)


@pytest.mark.parametrize("stream", [False, True])
async def test_numbers_and_unknown_fields_of_an_answer_survive(bench: Bench, stream: bool) -> None:
    bench.configure({"m": "o/extras", "n": "a/extras"})
    for model, dialect in (("m", "openai"), ("n", "anthropic")):
        body = await read(await bench.ask(model, dialect=dialect, stream=stream))
        assert b'{"big": 12345678901234567890123, "odd": 1.10, "tiny": 1E-7, "none": null}' in body


async def test_usage_is_shown_last_and_only_when_asked_for(bench: Bench) -> None:
    body = await read(await bench.ask("m", stream=True, include_usage=True))
    assert b'"usage"' in body.strip().split(b"\n\n")[-2]
    body = await read(await bench.ask("m", stream=True))
    assert b'"usage": {' not in body


async def test_anthropic_headers_are_relayed_to_anthropic_only(bench: Bench) -> None:
    bench.configure(
        {"m": "a/ok", "n": "o/ok"},
        providers={
            "a": {
                "protocol": "anthropic",
                "base_url": bench.provider.url,
                "api_key": "k",
                "beta": ["configured-1", "mine-1"],
            },
        },
    )
    sent = {
        "anthropic-version": "2026-10-21",
        "anthropic-beta": "mine-1, other-2",
        "cookie": "secret",
        "x-tollway-user": "u",
    }
    await bench.ask("m", dialect="anthropic", headers=sent, query="beta=true")
    got = bench.provider.calls[-1]
    assert got.headers["anthropic-version"] == "2026-10-21"
    assert got.headers["anthropic-beta"] == "mine-1, other-2,configured-1"
    assert got.query == "beta=true"
    assert not {"cookie", "x-tollway-user"} & set(got.headers)
    await bench.ask("n", dialect="anthropic", headers=sent)
    assert not [name for name in bench.provider.calls[-1].headers if name.startswith("anthropic-")]


async def test_configured_headers_reach_the_provider(bench: Bench) -> None:
    provider = {
        "protocol": "openai",
        "base_url": f"{bench.provider.url}/v1",
        "headers": {"Cookie": "auth=1", "X-Empty": ""},
    }
    bench.configure({"m": "d/ok"}, providers={"d": provider})
    await bench.ask("m")
    assert bench.provider.calls[0].headers["cookie"] == "auth=1"
    assert "x-empty" not in bench.provider.calls[0].headers
    assert bench.provider.calls[0].api_key is None


@pytest.mark.parametrize("bad", ["k-bad", "k-limited"])
async def test_another_key_is_used_when_one_is_rejected_or_limited(bench: Bench, bad: str) -> None:
    provider = {"protocol": "openai", "base_url": f"{bench.provider.url}/v1", "api_keys": [bad, "k-good"]}
    bench.configure({"m": "k/keyed"}, providers={"k": provider})
    answer = await bench.ask("m")
    assert (answer.status, answer.headers["x-tollway-attempts"]) == (200, "2")
    answer = await bench.ask("m")
    assert answer.headers["x-tollway-attempts"] == "1"
    assert [call.api_key for call in bench.provider.calls] == [f"Bearer {bad}", "Bearer k-good", "Bearer k-good"]


async def test_embeddings_go_to_openai_providers_only(bench: Bench) -> None:
    bench.configure({"m": "o/ok", "n": "a/ok"})
    ask: dict[str, Any] = {"operation": "embeddings", "body": b'{"model":"m","input":["a","b"]}'}
    answer = await bench.ask("m", **ask)
    assert len(json.loads(await read(answer))["data"]) == 2
    assert bench.spool.ended[0].usage.input_tokens == 6
    answer = await bench.ask("n", **ask)
    assert answer.status == 400
    assert len(bench.spool.ended) == 1


async def test_tokens_are_counted_by_the_provider_or_here_and_never_booked(bench: Bench) -> None:
    bench.configure({"m": "a/ok", "n": "o/ok"})
    answer = await bench.ask("m", dialect="anthropic", operation="count_tokens")
    assert json.loads(await read(answer))["input_tokens"] == bench.provider.calls[0].input_tokens
    answer = await bench.ask("n", "hello world, how are you?", dialect="anthropic", operation="count_tokens")
    assert 5 <= json.loads(await read(answer))["input_tokens"] <= 15
    assert len(bench.provider.calls) == 1
    assert not bench.spool.started


async def test_a_provider_without_models_serves_what_it_lists(bench: Bench) -> None:
    bench.live.replace(bench.config().model_copy(update={"models": {}}))
    names = [info.id for info in await bench.part.router.models()]
    assert {"ok", "echo", "demo"} <= set(names)
    assert (await bench.ask("echo")).headers["x-tollway-model"] == "echo"
    assert (await bench.ask("auto")).headers["x-tollway-model"] == "ok"
    assert bench.provider.listed == 2  # one per provider, then from the cache


async def test_names_are_passed_on_when_the_list_cannot_be_read(bench: Bench) -> None:
    provider = {"protocol": "openai", "base_url": f"{bench.provider.url}/nowhere"}
    bench.live.replace(bench.config(providers={"x": provider}).model_copy(update={"models": {}}))
    answer = await bench.ask("anything")
    assert answer.status == 404
    assert answer.headers["x-tollway-attempts"] in ("1", "2")


async def test_a_changed_configuration_is_in_force_at_once_and_streams_go_on(bench: Bench) -> None:
    bench.configure({"m": "o/slow-20"})
    answer = await bench.ask("m", stream=True)
    chunks = aiter(answer.chunks)
    await anext(chunks)
    bench.configure({"new": "o/ok"})
    assert (await bench.ask("m")).status == 404
    assert (await bench.ask("new")).status == 200
    rest = b"".join([chunk async for chunk in chunks])
    assert rest.endswith(b"data: [DONE]\n\n")
    assert bench.spool.ended[-1].requested_model == "m"


async def test_an_own_endpoint_is_asked_with_its_own_key_and_nothing_of_ours(bench: Bench) -> None:
    bench.configure({}, byo={"allow_private": True})
    byo = Byo(f"{bench.provider.url}/v1", "client-key")
    answer = await bench.ask("echo", byo=byo, headers={"cookie": "c", "anthropic-beta": "b"})
    assert answer.status == 200
    got = bench.provider.calls[0]
    assert got.api_key == "Bearer client-key"
    assert set(got.headers) == {"user-agent"}
    assert bench.spool.ended[0].provider == "byo"


REFUSED = [
    "http://127.0.0.1:1/v1",
    "http://localhost/v1",
    "http://127.1/v1",
    "http://2130706433/v1",
    "http://0x7f.1/v1",
    "http://[::1]/v1",
    "http://[::ffff:10.0.0.1]/v1",
    "http://[64:ff9b::7f00:1]/v1",
    "http://169.254.169.254/latest",
    "http://10.1.2.3/v1",
    "http://100.64.0.1/v1",
    "http://0.0.0.0/v1",
    "http://nowhere.invalid/v1",
    "http://" + "a" * 70 + ".com/v1",
    "http://x\x00y/v1",
    "http://example.com:99999/v1",
    "ftp://x/",
    "file:///etc/passwd",
    "http://u:p@example.com/",
    "nonsense",
    "",
]


@pytest.mark.parametrize("url", REFUSED)
async def test_refused_endpoints_are_refused_in_the_same_words(bench: Bench, url: str) -> None:
    answer = await bench.ask("echo", byo=Byo(url, "k"))
    body = json.loads(await read(answer))
    assert (answer.status, body["error"]["code"]) == (400, "base_url_refused")
    assert body["error"]["message"] == "This base_url may not be used."
    assert not bench.spool.started


async def test_allowed_hosts_may_be_private(bench: Bench) -> None:
    bench.configure({}, byo={"allow_hosts": ["127.0.0.1"]})
    assert (await bench.ask("echo", byo=Byo(f"{bench.provider.url}/v1", "k"))).status == 200


async def test_redirects_of_own_endpoints_are_not_followed(bench: Bench) -> None:
    bench.configure({}, byo={"allow_private": True}, routing={"retries": 0})
    answer = await bench.ask("redirect", byo=Byo(f"{bench.provider.url}/v1", "k"))
    assert answer.status >= 500
    assert len(bench.provider.calls) == 1


async def test_a_rejected_key_of_the_client_stays_the_clients_401(bench: Bench) -> None:
    bench.configure({}, byo={"allow_private": True})
    answer = await bench.ask("s401", byo=Byo(f"{bench.provider.url}/v1", "k"))
    assert (answer.status, answer.headers["x-tollway-attempts"]) == (401, "1")
    assert b"scripted 401" in await read(answer)


async def test_the_router_explains_itself(bench: Bench) -> None:
    bench.configure({"m": ["o/s500", "a/ok", ">f"], "f": "o/ok"})
    await bench.ask("m")
    told = await bench.part.router.explain()
    first, second = told["models"]["m"]["targets"]
    assert (first["provider"], first["state"]) == ("a", "ok")
    assert first["why"] == "place 1 by success_rate: 100% of its recent calls succeeded"
    assert (second["state"], second["failures"]) == ("cooling", 1.0)
    assert second["cooldown_left_seconds"] > 0
    assert told["auto"] in ("m", "f")
    assert b"sk-" not in json.dumps(told).encode()


async def test_the_cost_strategy_asks_the_cheapest_first(bench: Bench) -> None:
    prices = {"echo": {"input": 1, "output": 1}, "ok": {"input": 0.1, "output": 0.1}}
    bench.configure({"m": ["o/echo", "o/ok"]}, routing={"strategy": "cost"}, usage={"prices": prices})
    assert (await bench.ask("m")).headers["x-tollway-model"] == "ok"


async def test_the_latency_strategy_finds_the_quickest(bench: Bench) -> None:
    bench.configure({"m": ["o/slow-10", "o/ok"]}, routing={"strategy": "latency"})
    for _ in range(3):
        answer = await bench.ask("m")
    assert answer.headers["x-tollway-model"] == "ok"


@pytest.mark.parametrize(
    ("strategy", "figures"),
    [
        ("weighted", {"weight 1, drawn anew for each request"}),
        ("latency", {"never measured"}),
        ("cost", {"0.4 for a usual call", "its price is not known"}),
    ],
)
async def test_the_explanation_tells_the_figure_that_the_strategy_goes_by(
    bench: Bench, strategy: str, figures: set[str]
) -> None:
    prices = {"ok": {"input": 0.1, "output": 0.1}}
    bench.configure({"m": ["o/echo", "o/ok"]}, routing={"strategy": strategy}, usage={"prices": prices})
    targets = (await bench.part.router.explain())["models"]["m"]["targets"]
    assert {target["why"].partition(": ")[2] for target in targets} == figures
