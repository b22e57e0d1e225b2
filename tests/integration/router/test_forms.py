"""Providers that stream what was not to be streamed, or answer in one piece what was."""

import json

import pytest

from tests.fakes.model_script import SENTENCE
from tests.integration.router.conftest import Bench, read


@pytest.mark.parametrize(("form", "stream"), [("whole", True), ("flow", False)])
@pytest.mark.parametrize("protocol", ["o", "a"])
async def test_such_an_answer_is_booked_like_any_other(bench: Bench, protocol: str, form: str, stream: bool) -> None:
    bench.configure({"m": f"{protocol}/{form}:think"})
    body = await read(await bench.ask("m", dialect="openai" if protocol == "o" else "anthropic", stream=stream))
    (event,) = bench.spool.ended
    (told,) = bench.provider.calls
    assert (event.status, event.attempt, told.stream) == ("ok", 1, stream)
    if (protocol, form) == ("o", "flow"):  # a stream that nobody asked for usage tells none
        assert event.usage_source == "estimated"
    else:
        assert event.usage_source == "provider"
        assert (event.usage.input_tokens, event.usage.output_tokens) == (told.input_tokens, told.output_tokens)
    if protocol == "o":
        assert b'"usage"' not in body  # the stream's client did not ask for it


@pytest.mark.parametrize(
    ("fault", "stream"),
    [("whole:cutbody", True), ("whole:json200", True), ("flow:cut", False), ("flow:errstream", False)],
)
@pytest.mark.parametrize("protocol", ["o", "a"])
async def test_half_of_such_an_answer_is_none(bench: Bench, protocol: str, fault: str, stream: bool) -> None:
    bench.configure(
        {"m": [f"{protocol}/{fault}", f"{protocol}/ok"], "alone": f"{protocol}/{fault}"}, routing={"retries": 1}
    )
    answer = await bench.ask("m", stream=stream)
    assert answer.headers["x-tollway-attempts"] == "2"
    await read(answer)
    refused = await bench.ask("alone", stream=stream)
    assert refused.status >= 500
    assert "error" in json.loads(await read(refused))
    assert {event.status for event in bench.spool.ended} == {"ok", "error"}


async def test_a_whole_answer_behind_blank_lines_and_a_false_name_is_told_as_a_stream(bench: Bench) -> None:
    bench.configure({"m": "o/padded"})
    body = await read(await bench.ask("m", stream=True))
    said = [json.loads(line[6:])["choices"][0]["delta"] for line in body.splitlines() if line.startswith(b"data: {")]
    assert "".join(delta.get("content") or "" for delta in said) == SENTENCE
    assert body.endswith(b"data: [DONE]\n\n")
