"""One call of a model is one record, however many tracked functions it passes through."""

import asyncio
from types import SimpleNamespace

import pytest
from tollway import get_usage_monitor, record_ai_usage, track_ai_usage, usage_labels


def answer(identity="c-1", tokens=15):
    return {"id": identity, "model": "qwen-plus", "usage": {"prompt_tokens": tokens - 5, "completion_tokens": 5}}


def booked():
    return [(record["function"], record["total_tokens"]) for record in get_usage_monitor().journal.everything()]


@track_ai_usage("inner", "qwen-plus")
def ask(identity="c-1", tokens=15):
    return answer(identity, tokens)


@pytest.mark.parametrize("read", [lambda found: found, lambda found: found["model"], lambda found: dict(found)])
def test_an_answer_that_is_passed_on_is_booked_by_the_inner_function(read):
    track_ai_usage("outer", "qwen-plus")(lambda: read(ask()))()
    assert booked() == [("inner", 15)]


def test_two_decorators_on_one_function_are_one_call():
    track_ai_usage("outer")(track_ai_usage("middle")(track_ai_usage("inner")(answer)))()
    assert booked() == [("inner", 15)]


def test_the_outer_function_books_what_is_its_own():
    @track_ai_usage("outer", "qwen-plus")
    def outer():
        ask()
        ask("c-2", 25)
        return answer("c-3", 35)

    outer()
    assert booked() == [("inner", 15), ("inner", 25), ("outer", 35)]


async def test_coroutines_generators_and_tasks_know_where_they_are():
    @track_ai_usage("inner", "qwen-plus")
    async def stream():
        yield SimpleNamespace(usage=None)
        yield SimpleNamespace(**answer())

    @track_ai_usage("middle", "qwen-plus")
    async def relay():
        async for event in stream():
            yield event

    @track_ai_usage("outer", "qwen-plus")
    async def outer():
        await asyncio.gather(asyncio.create_task(asyncio.to_thread(ask)))
        return [event async for event in relay()]

    assert len(await outer()) == 2
    assert booked() == [("inner", 15), ("inner", 15)]


def test_generators_in_generators_are_one_call_however_they_end():
    @track_ai_usage("inner", "qwen-plus")
    def stream():
        yield "a"
        yield answer()

    @track_ai_usage("outer", "qwen-plus")
    def outer():
        yield from stream()

    assert len(list(outer())) == 2
    running = outer()
    next(running)
    running.close()
    assert booked() == [("inner", 15), ("inner", None)]


def test_a_failure_that_rises_through_several_is_one_failure():
    @track_ai_usage("inner", "qwen-plus")
    def fail():
        raise ConnectionError("no route")

    outer = track_ai_usage("outer", "qwen-plus")(lambda: fail())
    for _ in range(2):
        with pytest.raises(ConnectionError):
            outer()
    assert booked() == [("inner", None), ("inner", None)]


def test_a_failure_of_its_own_is_booked_by_the_outer_function():
    @track_ai_usage("outer", "qwen-plus")
    def outer():
        ask()
        raise ValueError("not an answer")

    with pytest.raises(ValueError, match="not an answer"):
        outer()
    assert booked() == [("inner", 15), ("outer", None)]


def test_calls_one_after_the_other_are_not_nested():
    ask()
    ask()
    assert booked() == [("inner", 15), ("inner", 15)]


def test_labels_come_from_the_function_around():
    @track_ai_usage("outer", "qwen-plus")
    def outer(session_id, user_id="nobody"):
        ask()
        record_ai_usage("qwen-plus", "by hand", 1, 1)
        track_ai_usage("own", "qwen-plus", session_id="own")(answer)()

    with usage_labels(anchor_id="around"):
        outer("s")
    labels = [
        (record["session_id"], record["user_id"], record["anchor_id"])
        for record in get_usage_monitor().journal.everything()
    ]
    assert labels == [("s", "nobody", "around")] * 2 + [("own", "nobody", "around")]
