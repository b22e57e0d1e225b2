"""The channel between agent and client: order, bounds and deadlines."""

import asyncio
import json

import pytest
from tollway.server import DataStreamer


async def read(streamer):
    return [frame async for frame in streamer.frames()]


async def test_what_was_said_before_reading_is_read_in_order():
    streamer = DataStreamer(timeout=5, model_name="MyModel")
    for number in range(3000):
        await streamer.send_data(content_type="text", content=str(number))
    await streamer.stop(stop_reason="length")
    await streamer.send_data("text", "too late")
    told = [json.loads(frame[6:]) for frame in await read(streamer)]
    assert [frame["choices"][0]["delta"]["content"] for frame in told[:-1]] == [str(number) for number in range(3000)]
    assert told[-1]["choices"][0]["finish_reason"] == "length"
    assert told[0]["model"] == "MyModel"


async def test_a_slow_reader_slows_the_speaker():
    streamer = DataStreamer(timeout=5)
    frames = streamer.frames()
    said = 0

    async def speak():
        nonlocal said
        while True:
            await streamer.send_data("text", "x")
            said += 1

    await streamer.send_data("text", "first")
    await anext(frames)
    speaker = asyncio.ensure_future(speak())
    for _ in range(5000):
        await asyncio.sleep(0)
    assert said <= 1100
    await frames.aclose()
    assert streamer.ended
    speaker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await speaker


async def test_an_endless_speaker_meets_the_deadline():
    streamer = DataStreamer(timeout=0.05)

    async def speak():
        while not streamer.ended:
            await streamer.send_data("text", "x")
            await asyncio.sleep(0)

    speaker = asyncio.ensure_future(speak())
    async with asyncio.timeout(5):
        last = (await read(streamer))[-1]
        await speaker
    assert json.loads(last[6:])["choices"][0]["finish_reason"] == "timeout"


async def test_the_first_end_counts():
    streamer = DataStreamer()
    await streamer.stop("stop")
    streamer.fail("later")
    (last,) = await read(streamer)
    assert json.loads(last[6:])["choices"][0]["finish_reason"] == "stop"


async def test_a_whole_answer_is_a_json_response():
    streamer = DataStreamer()
    await streamer.send_data("custom<type>", "a]]>b")
    await streamer.stop()
    body = json.loads((await streamer.start_non_streaming_openai()).body)
    assert body["choices"][0]["delta"]["content"] == '<content type="custom&lt;type&gt;">a]]&gt;b</content>'
