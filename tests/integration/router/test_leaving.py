"""Clients that leave, streams that break, deadlines that pass: each attempt is cut at once and booked once."""

import asyncio
import json

import pytest

from services.router.answer import StreamAnswer
from tests.integration.router.conftest import Bench, read

BOTH = pytest.mark.parametrize("protocol", ["o", "a"])


def dialect_of(protocol: str) -> str:
    return "openai" if protocol == "o" else "anthropic"


@BOTH
@pytest.mark.parametrize("stream", [False, True])
async def test_leaving_before_any_byte_cuts_the_provider(bench: Bench, protocol: str, stream: bool) -> None:
    bench.configure({"m": f"{protocol}/hang"}, routing={"timeouts": {"first_byte": 30}})
    asking = asyncio.ensure_future(bench.ask("m", dialect=dialect_of(protocol), stream=stream))
    await bench.provider.until(lambda: bool(bench.provider.calls))
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    (event,) = bench.spool.ended
    assert (event.status, event.usage, event.usage_source) == ("aborted", None, "none")
    await bench.provider.until(lambda: bench.provider.calls[0].cut, seconds=1)


@BOTH
async def test_leaving_in_the_middle_cuts_the_provider_and_books_an_estimate(bench: Bench, protocol: str) -> None:
    bench.configure({"m": f"{protocol}/slow-100"})
    answer = await bench.ask("m", dialect=dialect_of(protocol), stream=True)
    chunks = aiter(answer.chunks)
    for _ in range(5):
        await anext(chunks)
    await answer.close()
    await answer.close()
    (event,) = bench.spool.ended
    assert (event.status, event.usage_source) == ("aborted", "estimated")
    assert 3 <= event.usage.output_tokens <= 8
    assert event.usage.input_tokens
    assert answer.ending is not None
    assert answer.ending.status == "aborted"
    await bench.provider.until(lambda: bench.provider.calls[0].cut, seconds=1)


async def test_a_cancelled_pull_books_like_a_client_that_left(bench: Bench) -> None:
    bench.configure({"m": "o/stall"}, routing={"timeouts": {"idle": 30}})
    answer = await bench.ask("m", stream=True)
    reading = asyncio.ensure_future(read(answer))
    await bench.provider.until(lambda: bench.provider.calls[0].chunks_sent == 5)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert [event.status for event in bench.spool.ended] == ["aborted"]
    await bench.provider.until(lambda: bench.provider.calls[0].cut, seconds=1)


async def test_leaving_a_plain_call_in_the_middle(bench: Bench) -> None:
    bench.configure({"m": "o/slow-100"}, routing={"timeouts": {"first_byte": 30}})
    asking = asyncio.ensure_future(bench.ask("m"))
    await bench.provider.until(lambda: bool(bench.provider.calls))
    asking.cancel()
    await asyncio.wait([asking])
    assert bench.spool.ended[0].status == "aborted"
    await bench.provider.until(lambda: bench.provider.calls[0].cut, seconds=1)


@BOTH
@pytest.mark.parametrize("fault", ["cut", "stall", "errstream"])
async def test_a_break_after_content_is_an_error_event_and_never_an_end(
    bench: Bench, fault: str, protocol: str
) -> None:
    bench.configure({"m": [f"{protocol}/{fault}", f"{protocol}/ok", ">f"], "f": "o/ok"})
    answer = await bench.ask("m", dialect=dialect_of(protocol), stream=True)
    body = await read(answer)
    assert b"[DONE]" not in body
    assert b"message_stop" not in body
    last = body.strip().split(b"\n\n")[-1]
    assert b'"error"' in last
    assert last.startswith(b"event: error\n") == (protocol == "a")
    (event,) = bench.spool.ended
    assert (event.status, event.usage_source) == ("error", "estimated")
    assert event.error_msg
    assert answer.ending is not None
    assert answer.ending.status == "error"
    assert (await bench.ask("m", dialect=dialect_of(protocol))).headers["x-tollway-model"] == "ok"


@BOTH
async def test_a_break_is_told_across_dialects(bench: Bench, protocol: str) -> None:
    bench.configure({"m": f"{protocol}/cut"})
    body = await read(await bench.ask("m", dialect="anthropic" if protocol == "o" else "openai", stream=True))
    assert b"[DONE]" not in body
    assert b"message_stop" not in body
    assert b'"error"' in body.strip().split(b"\n\n")[-1]


@BOTH
@pytest.mark.parametrize("ending", ["nodone", "noclose"])
async def test_a_missing_last_event_after_the_end_is_supplied_promptly(
    bench: Bench, ending: str, protocol: str
) -> None:
    bench.configure({"m": f"{protocol}/{ending}"}, routing={"timeouts": {"idle": 30}})
    async with asyncio.timeout(2):
        body = await read(await bench.ask("m", dialect=dialect_of(protocol), stream=True))
    assert body.count(b"data: [DONE]\n\n" if protocol == "o" else b"message_stop") >= 1
    assert b'"error"' not in body
    (event,) = bench.spool.ended
    assert (event.status, event.usage_source) == ("ok", "provider")


@BOTH
async def test_a_frame_of_garbage_is_dropped_and_the_answer_stands(bench: Bench, protocol: str) -> None:
    bench.configure({"m": f"{protocol}/badjson"})
    body = await read(await bench.ask("m", dialect=dialect_of(protocol), stream=True))
    assert b"broken" not in body
    assert bench.spool.ended[0].status == "ok"


@BOTH
@pytest.mark.parametrize("behaviour", ["crlf", "utf8", "extras", "cached", "think", "long-100"])
async def test_odd_streams_arrive_whole(bench: Bench, behaviour: str, protocol: str) -> None:
    bench.configure({"m": f"{protocol}/{behaviour}"})
    body = await read(await bench.ask("m", dialect=dialect_of(protocol), stream=True))
    for event in body.strip().split(b"\n\n"):
        data = next(line for line in event.split(b"\n") if line.startswith(b"data: "))[6:]
        assert data == b"[DONE]" or json.loads(data)
    (event,) = bench.spool.ended
    told = bench.provider.calls[0]
    assert (event.usage.input_tokens, event.usage.output_tokens) == (told.input_tokens, told.output_tokens)


async def test_usage_that_is_never_told_is_estimated(bench: Bench) -> None:
    bench.configure({"m": "o/nousage"})
    await read(await bench.ask("m", stream=True))
    await read(await bench.ask("m"))
    for event in bench.spool.ended:
        assert (event.status, event.usage_source) == ("ok", "estimated")
        assert 15 <= event.usage.output_tokens <= 30
        assert event.usage.input_tokens


@BOTH
async def test_a_client_that_asked_for_usage_is_told_the_estimate(bench: Bench, protocol: str) -> None:
    bench.configure({"m": f"{protocol}/nousage"})
    body = await read(await bench.ask("m", stream=True, include_usage=True))
    chunks = [json.loads(line[6:]) for line in body.splitlines() if line.startswith(b"data: {")]
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["prompt_tokens"] > 0
    assert 15 <= chunks[-1]["usage"]["completion_tokens"] <= 30


async def test_the_total_deadline_ends_a_stream_with_an_error(bench: Bench) -> None:
    bench.configure({"m": "o/slow-100"}, routing={"timeouts": {"total": 0.3}})
    body = await read(await bench.ask("m", stream=True))
    assert b'"error"' in body
    assert b"[DONE]" not in body
    assert bench.spool.ended[0].status == "error"


async def test_a_slow_client_is_not_the_providers_silence(bench: Bench) -> None:
    bench.configure({"m": "o/quick-50"}, routing={"timeouts": {"idle": 0.05}})
    answer = await bench.ask("m", stream=True)
    chunks = aiter(answer.chunks)
    await anext(chunks)
    await asyncio.wait([], timeout=0) if False else None
    loop = asyncio.get_running_loop()
    passed = loop.create_future()
    loop.call_later(0.2, passed.set_result, None)
    await passed
    async for _ in chunks:
        pass
    assert bench.spool.ended[0].status == "ok"


async def test_stopping_ends_a_stream_with_an_error_event(bench: Bench) -> None:
    bench.configure({"m": "o/slow-100"})
    answer = await bench.ask("m", stream=True)
    assert isinstance(answer, StreamAnswer)
    await anext(aiter(answer.chunks))
    answer.interrupt()
    rest = await read(answer)
    assert b"[DONE]" not in rest
    assert b'"error"' in rest
    (event,) = bench.spool.ended
    assert (event.status, event.usage_source) == ("interrupted", "estimated")


async def test_the_spool_being_full_refuses_before_the_provider_is_asked(bench: Bench) -> None:
    bench.spool.full = True
    answer = await bench.ask("m")
    assert answer.status == 503
    assert not bench.provider.calls


@BOTH
async def test_a_plain_answer_that_was_cut_in_its_middle_is_estimated(bench: Bench, protocol: str) -> None:
    bench.configure({"m": f"{protocol}/cutbody"}, routing={"retries": 0})
    answer = await bench.ask("m", dialect=dialect_of(protocol))
    assert answer.status == 502
    (event,) = bench.spool.ended
    assert (event.status, event.usage_source) == ("error", "estimated")
    assert event.usage.input_tokens


async def test_an_anthropic_client_never_reads_zero_input(bench: Bench) -> None:
    bench.configure({"m": "o/nousage"})
    body = json.loads(await read(await bench.ask("m", dialect="anthropic")))
    assert body["usage"]["input_tokens"] > 0
    assert body["usage"]["output_tokens"] > 0


async def test_a_frame_that_breaks_the_reader_is_told_and_booked(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.configure({"m": "o/slow-20"})
    answer = await bench.ask("m", stream=True)
    assert isinstance(answer, StreamAnswer)
    await anext(aiter(answer.chunks))
    monkeypatch.setattr(answer._relay._reader, "feed", lambda _: 1 / 0)
    monkeypatch.setattr(answer._relay, "_burst", None)
    rest = await read(answer)
    assert b'"error"' in rest
    assert [event.status for event in bench.spool.ended] == ["error"]


async def test_an_answer_that_breaks_the_reader_is_a_failed_attempt(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.configure({"m": ["o/ok", "a/ok"]})
    provider = bench.part.router._inventory.fleet["o"]
    monkeypatch.setattr(provider, "whole", lambda *_: 1 / 0)
    answer = await bench.ask("m")
    assert (answer.status, answer.headers["x-tollway-provider"]) == (200, "a")
    assert [event.status for event in bench.spool.ended] == ["error", "ok"]
