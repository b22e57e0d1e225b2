"""The decorator books every kind of function once, with what its answer tells."""

import asyncio
import gc
import time
import uuid
from types import SimpleNamespace

import anthropic.types
import httpx2
import openai.types.chat
import pytest
from tollway import get_usage_monitor, track_ai_usage, usage_labels
from tollway.models import OpenAILike


def openai_answer(prompt=2000, completion=700, **details):
    return openai.types.chat.ChatCompletion.model_validate(
        {
            "id": "c",
            "object": "chat.completion",
            "created": 1,
            "model": "qwen-plus",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}],
            "usage": {
                "prompt_tokens": prompt,
                "completion_tokens": completion,
                "total_tokens": prompt + completion,
                **details,
            },
        }
    )


def chunk(text="", usage=None, finish=None):
    choices = [SimpleNamespace(delta=SimpleNamespace(content=text), finish_reason=finish)]
    return SimpleNamespace(model="qwen-plus", choices=choices, usage=usage)


def usage(prompt=10, completion=5):
    return SimpleNamespace(prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion)


def chunks():
    return [chunk("a"), chunk("b"), chunk("", finish="stop"), chunk("", usage=usage())]


def booked():
    return list(get_usage_monitor().journal.everything())


def the_record():
    (record,) = booked()
    return record


def test_a_plain_function_is_booked_in_the_seeds_format():
    @track_ai_usage("实时分析", "qwen-plus")
    def analyse(user_id, anchor_id=None, *, session_id):
        return openai_answer()

    answer = analyse("user_001", "anchor_123", session_id="session_456")
    assert answer.choices[0].message.content == "hello"
    record = the_record()
    assert list(record)[:13] == [
        "timestamp",
        "user_id",
        "anchor_id",
        "session_id",
        "model",
        "function",
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "cost",
        "duration_ms",
        "success",
        "error_msg",
    ]
    assert (record["user_id"], record["anchor_id"], record["session_id"]) == (
        "user_001",
        "anchor_123",
        "session_456",
    )
    assert (record["model"], record["function"]) == ("qwen-plus", "实时分析")
    assert (record["input_tokens"], record["output_tokens"], record["total_tokens"]) == (2000, 700, 2700)
    assert record["cost"] == 0.0022
    assert record["success"] is True
    assert record["error_msg"] is None
    assert record["unpriced"] is False


def test_a_failing_function_is_booked_as_a_failure_and_still_raises():
    @track_ai_usage("f", "qwen-plus")
    def fail():
        raise ConnectionError("no route")

    with pytest.raises(ConnectionError):
        fail()
    record = the_record()
    assert record["success"] is False
    assert record["error_msg"] == "ConnectionError: no route"
    assert record["input_tokens"] is None
    assert record["cost"] is None
    assert record["usage_source"] == "none"


async def test_a_coroutine_is_booked():
    @track_ai_usage("f", "gpt-4")
    async def ask():
        await asyncio.sleep(0)
        return openai_answer(1000, 1000)

    await ask()
    assert the_record()["cost"] == 0.63


async def test_a_cancelled_coroutine_is_booked_as_aborted():
    entered = asyncio.Event()

    @track_ai_usage("f", "gpt-4")
    async def ask():
        entered.set()
        await asyncio.Event().wait()

    task = asyncio.ensure_future(ask())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert the_record()["status"] == "aborted"
    assert the_record()["success"] is False


def test_a_function_that_returns_an_awaitable_is_booked_when_that_is_done():
    async def inner():
        return openai_answer()

    tracked = track_ai_usage("f", "qwen-plus")(lambda: inner())
    asyncio.run(tracked())
    assert the_record()["total_tokens"] == 2700


def test_a_generator_passes_send_and_its_return_value_through():
    received = []

    @track_ai_usage("f", "qwen-plus")
    def stream():
        received.append((yield chunk("a")))
        yield chunk("", usage=usage())
        return "done"

    def drive():
        return (yield from stream())

    running = drive()
    next(running)
    running.send("hi")
    with pytest.raises(StopIteration) as end:
        next(running)
    assert end.value.value == "done"
    assert received == ["hi"]
    assert the_record()["total_tokens"] == 15
    assert the_record()["ttft_ms"] >= 0


def test_a_generator_left_early_is_aborted_and_one_left_after_its_finish_is_not():
    @track_ai_usage("f", "qwen-plus")
    def stream():
        yield from chunks()

    early = stream()
    next(early)
    early.close()
    late = stream()
    for item in late:
        if item.choices[0].finish_reason:
            break
    late.close()
    assert [record["status"] for record in booked()] == ["aborted", "ok"]


async def test_an_async_generator_is_booked():
    @track_ai_usage("f", "qwen-plus")
    async def stream():
        for item in chunks():
            yield item

    assert [item async for item in stream()]
    assert the_record()["total_tokens"] == 15


async def test_an_async_generator_that_fails_is_booked_as_a_failure():
    @track_ai_usage("f", "qwen-plus")
    async def stream():
        yield chunk("a")
        raise OSError("cut")

    with pytest.raises(OSError, match="cut"):
        async for _ in stream():
            pass
    assert the_record()["error_msg"] == "OSError: cut"


class FakeStream:
    """Shaped like the OpenAI SDK's Stream."""

    def __init__(self, items):
        self._items = iter(items)
        self.response = "the http response"
        self.closed = False

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._items)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.closed = True


def test_a_returned_stream_keeps_its_face_and_is_booked_at_its_end():
    tracked = track_ai_usage("f", "qwen-plus")(lambda: FakeStream(chunks()))
    stream = tracked()
    assert isinstance(stream, FakeStream)
    assert stream.response == "the http response"
    assert booked() == []
    with stream:
        assert "".join(item.choices[0].delta.content for item in stream) == "ab"
    assert the_record()["total_tokens"] == 15
    assert stream.closed


def test_a_dropped_stream_is_booked_as_aborted():
    tracked = track_ai_usage("f", "qwen-plus")(lambda: FakeStream(chunks()))
    next(tracked())
    gc.collect()
    assert the_record()["status"] == "aborted"


def anthropic_events():
    message = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-4-5",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 10,
            "cache_read_input_tokens": 30,
            "cache_creation_input_tokens": 2,
            "output_tokens": 1,
        },
    }
    start = anthropic.types.RawMessageStartEvent.model_validate({"type": "message_start", "message": message})
    delta = anthropic.types.RawMessageDeltaEvent.model_validate(
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 7},
        }
    )
    return [start, delta, anthropic.types.RawMessageStopEvent(type="message_stop")]


def test_methods_of_every_kind_are_booked_with_their_labels():
    class Analyst:
        @track_ai_usage("method")
        def of_object(self, session_id="by default"):
            return openai_answer()

        @track_ai_usage("class")
        @classmethod
        def of_class(cls, session_id):
            return openai_answer()

        @track_ai_usage("static")
        @staticmethod
        def of_nobody(session_id):
            return openai_answer()

        @staticmethod
        @track_ai_usage("inside")
        async def coroutine(session_id):
            return openai_answer()

    session = uuid.uuid4()
    Analyst().of_object()
    Analyst.of_class(session)
    Analyst().of_nobody(session)
    asyncio.run(Analyst().coroutine(session_id=session))
    told = [(record["function"], record["session_id"]) for record in booked()]
    assert told == [("method", "by default"), *((name, str(session)) for name in ("class", "static", "inside"))]


def test_cache_writes_and_thinking_are_counted_in_both_providers_words():
    details = {"cached_tokens": 400, "cache_write_tokens": 100}
    track_ai_usage("openai")(lambda: openai_answer(prompt_tokens_details=details))()
    told = {"input_tokens": 10, "output_tokens": 20, "output_tokens_details": {"thinking_tokens": 15}}
    track_ai_usage("anthropic")(lambda: {"model": "claude-haiku-4-5", "usage": told})()
    of_openai, of_anthropic = booked()
    assert (of_openai["input_tokens"], of_openai["cache_read_tokens"], of_openai["cache_write_tokens"]) == (
        2000,
        400,
        100,
    )
    assert (of_anthropic["output_tokens"], of_anthropic["reasoning_tokens"]) == (20, 15)


def test_an_anthropic_stream_counts_cached_input_once():
    @track_ai_usage("f")
    def stream():
        yield from anthropic_events()

    list(stream())
    record = the_record()
    assert record["model"] == "claude-haiku-4-5"
    assert (record["input_tokens"], record["output_tokens"]) == (42, 7)
    assert (record["cache_read_tokens"], record["cache_write_tokens"]) == (30, 2)
    assert record["cost"] is None
    assert record["unpriced"] is True


class FakeHelper:
    def __init__(self):
        self._iterator = iter(anthropic_events())

    def __iter__(self):
        return self._iterator


class MessageStreamManager:
    """Shaped like the Anthropic SDK's helper."""

    def __enter__(self):
        return FakeHelper()

    def __exit__(self, *exc):
        return None


def test_a_streaming_helper_is_booked_from_its_events():
    with track_ai_usage("f")(MessageStreamManager)() as stream:
        assert isinstance(stream, FakeHelper)
        assert len(list(stream)) == 3
    record = the_record()
    assert (record["input_tokens"], record["output_tokens"], record["status"]) == (42, 7, "ok")
    assert record["ttft_ms"] >= 0


def test_a_streaming_helper_left_early_is_aborted():
    with track_ai_usage("f")(MessageStreamManager)() as stream:
        next(iter(stream))
    assert (the_record()["input_tokens"], the_record()["status"]) == (42, "aborted")


def test_a_streaming_helper_of_another_make_is_left_as_it_is(monkeypatch):
    monkeypatch.setattr(FakeHelper, "__init__", lambda self: None)
    with track_ai_usage("f")(MessageStreamManager)() as stream:
        assert isinstance(stream, FakeHelper)
    assert the_record()["usage_source"] == "none"


def test_a_helper_that_was_never_entered_is_no_call():
    track_ai_usage("f")(MessageStreamManager)()
    gc.collect()
    assert booked() == []


def test_a_helper_that_cannot_connect_is_a_failed_call(monkeypatch):
    def refuse(self):
        raise ConnectionError("refused")

    monkeypatch.setattr(MessageStreamManager, "__enter__", refuse)
    with pytest.raises(ConnectionError), track_ai_usage("f")(MessageStreamManager)():
        pass
    assert the_record()["error_msg"] == "ConnectionError: refused"


@pytest.mark.parametrize(
    ("answer", "counts"),
    [
        ({"usage": {"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11}}, (5, 6)),
        ({"usage": {"prompt_tokens": 5, "total_tokens": 5}}, (5, 0)),
        ({"usage": {"prompt_tokens": 5, "total_tokens": 9}}, (5, 4)),
        ({"usage": {"input_tokens": 5, "output_tokens": 6}}, (5, 6)),
        ({"usage": {"input_tokens": 5, "cache_read_input_tokens": 4, "output_tokens": 6}}, (9, 6)),
        (
            {"type": "response.completed", "response": {"usage": {"input_tokens": 5, "output_tokens": 6}}},
            (5, 6),
        ),
        ({"usage": None}, (None, None)),
        ({"usage": {"prompt_tokens": "five"}}, (None, None)),
        ("just text", (None, None)),
        (None, (None, None)),
    ],
)
def test_usage_is_read_from_the_usual_shapes(answer, counts):
    track_ai_usage("f", "qwen-plus")(lambda: answer)()
    assert (the_record()["input_tokens"], the_record()["output_tokens"]) == counts


def test_details_of_openai_usage_are_kept():
    answer = openai_answer(
        prompt_tokens_details={"cached_tokens": 512}, completion_tokens_details={"reasoning_tokens": 64}
    )
    track_ai_usage("f", "qwen-plus")(lambda: answer)()
    assert (the_record()["cache_read_tokens"], the_record()["reasoning_tokens"]) == (512, 64)


def test_labels_come_from_decorator_arguments_and_context_in_that_order():
    @track_ai_usage("f", "qwen-plus", anchor_id="fixed")
    def ask(user_id=None):
        return None

    with usage_labels(user_id="around", session_id="s", anchor_id="unused"):
        ask()
        ask("given")
    first, second = booked()
    assert (first["user_id"], first["session_id"], first["anchor_id"]) == ("around", "s", "fixed")
    assert second["user_id"] == "given"


def test_methods_are_tracked_like_functions():
    class Service:
        @track_ai_usage("f", "qwen-plus")
        def ask(self, user_id):
            """Asks."""
            return openai_answer()

    Service().ask("u")
    assert the_record()["user_id"] == "u"
    assert Service.ask.__doc__ == "Asks."


async def test_our_own_models_answers_are_booked_however_they_are_read():
    def answer():
        body = {
            "model": "qwen-plus",
            "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
        }
        return httpx2.Response(200, json=body)

    llm = OpenAILike("http://model/v1", transport=httpx2.MockTransport(lambda request: answer()))
    ask = track_ai_usage("f", "qwen-plus")(llm.acall)
    with_tools = await ask("hi", tools=[{"type": "function"}])
    assert with_tools.response == "hi"
    iterated = await ask("hi")
    assert [chunk.content async for chunk in iterated] == ["hi"]
    read = await ask("hi")
    assert (await read.read()).response == "hi"
    del read
    gc.collect()
    assert [(record["total_tokens"], record["status"]) for record in booked()] == [(15, "ok")] * 3


async def test_an_async_generator_left_early_is_closed_and_booked():
    closed = []

    @track_ai_usage("f", "qwen-plus")
    async def stream():
        try:
            sent = yield chunk("a")
            yield sent
        finally:
            closed.append(True)

    running = stream()
    await anext(running)
    assert await running.asend("passed through") == "passed through"
    await running.aclose()
    assert closed == [True]
    assert the_record()["status"] == "aborted"


def test_a_decorator_without_words_says_how_to_write_it():
    with pytest.raises(TypeError, match="say what the calls are for"):
        track_ai_usage(openai_answer)


class Hostile:
    def __getattr__(self, name):
        raise RuntimeError("do not touch")


def test_a_hostile_answer_breaks_nothing():
    assert isinstance(track_ai_usage("f", "qwen-plus")(Hostile)(), Hostile)
    assert the_record()["success"] is True


def test_an_unwritable_folder_breaks_nothing_and_loses_nothing(records, caplog):
    records.parent.mkdir()
    records.write_text("a file where the folder should be")
    tracked = track_ai_usage("f", "qwen-plus")(lambda: openai_answer())
    tracked()
    assert "could not be stored" in caplog.text
    records.unlink()
    tracked()
    assert len(booked()) == 2


def overheads(clock, tracked, calls=1000):
    spent = []
    for _ in range(calls):
        start = clock()
        openai_answer()
        middle = clock()
        tracked()
        spent.append(clock() - middle - (middle - start))
    return sorted(spent)


def test_the_overhead_is_a_millisecond_at_most():
    tracked = track_ai_usage("f", "qwen-plus")(openai_answer)
    # judged by the thread's own time: on a crowded machine the scheduler alone takes milliseconds away
    own, wall = overheads(time.thread_time, tracked), overheads(time.perf_counter, tracked)
    print(f"overhead p99: own time {own[990] * 1e6:.0f} µs, by the wall clock {wall[990] * 1e6:.0f} µs")
    assert own[990] <= 0.001
    assert wall[500] <= 0.001
    monitor = get_usage_monitor()
    assert monitor.get_daily_summary().total_calls + monitor.get_daily_summary(1).total_calls == 2000
