"""Answers in the provider's own dialect: bytes go through, and every attempt is booked once."""

import json

import pytest

from tests.fakes.model_script import SENTENCE
from tests.integration.router.conftest import Bench, read


@pytest.mark.parametrize(("target", "dialect"), [("o/ok", "openai"), ("a/ok", "anthropic")])
async def test_a_plain_answer_goes_through_and_is_booked_once(bench: Bench, target: str, dialect: str) -> None:
    bench.configure({"m": target})
    answer = await bench.ask("m", dialect=dialect)
    body = json.loads(await read(answer))
    assert answer.status == 200
    assert SENTENCE in json.dumps(body)
    assert answer.headers["x-tollway-model"] == "ok"
    assert answer.headers["x-tollway-attempts"] == "1"
    (event,) = bench.spool.ended
    assert (event.status, event.usage_source, event.model, event.requested_model) == ("ok", "provider", "ok", "m")
    assert event.usage.output_tokens == bench.provider.calls[0].output_tokens
    assert answer.ending is not None
    assert answer.ending.usage == event.usage


@pytest.mark.parametrize(("target", "dialect"), [("o/ok", "openai"), ("a/ok", "anthropic")])
async def test_a_stream_goes_through_and_is_booked_once(bench: Bench, target: str, dialect: str) -> None:
    bench.configure({"m": target})
    answer = await bench.ask("m", dialect=dialect, stream=True)
    body = await read(answer)
    assert body.endswith(b"data: [DONE]\n\n" if dialect == "openai" else b'data: {"type": "message_stop"}\n\n')
    assert b'"usage": {' not in body or dialect == "anthropic"
    (event,) = bench.spool.ended
    assert (event.status, event.usage_source) == ("ok", "provider")
    assert event.usage.output_tokens == bench.provider.calls[0].output_tokens
    assert event.ttft_ms is not None
    assert bench.spool.noted
    assert event.bytes_out == len(body)
