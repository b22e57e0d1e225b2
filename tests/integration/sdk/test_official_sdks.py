"""The official SDKs: their streams and helpers are tracked, and they can talk to published agents."""

import json

import anthropic
import httpx2
import openai
import pytest
from tollway import get_usage_monitor, track_ai_usage
from tollway.agent import BaseAgent
from tollway.server import OpenAIRequest, publish_agent_api

from tests.integration.sdk.serve import Served

ASK = {"model": "qwen-plus", "messages": [{"role": "user", "content": "hi"}]}
TOLD = {"stream": True, "stream_options": {"include_usage": True}}
EVENTS = """event: message_start
data: {"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"claude-haiku-4-5","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":10,"cache_read_input_tokens":30,"cache_creation_input_tokens":0,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":7}}

event: message_stop
data: {"type":"message_stop"}

"""


def only_record():
    (record,) = get_usage_monitor().journal.everything()
    return record


@pytest.fixture
def client(live):
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key=live.token, max_retries=0) as made:
        yield made


@pytest.fixture
async def async_client(live):
    async with openai.AsyncOpenAI(base_url=f"{live.url}/v1", api_key=live.token) as made:
        yield made


def claude(kind, http_kind):
    def answer(request):
        return httpx2.Response(200, content=EVENTS, headers={"content-type": "text/event-stream"})

    return kind(api_key="k", http_client=http_kind(transport=httpx2.MockTransport(answer)))


def test_an_openai_stream_is_tracked(client):
    stream = track_ai_usage("f", "qwen-plus")(client.chat.completions.create)(**ASK, **TOLD)
    assert isinstance(stream, openai.Stream)
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices).endswith("You said: hi")
    record = only_record()
    assert (record["total_tokens"], record["status"]) == (chunks[-1].usage.total_tokens, "ok")


async def test_an_async_openai_stream_is_tracked(async_client):
    @track_ai_usage("f", "qwen-plus")
    async def ask():
        return await async_client.chat.completions.create(**ASK, **TOLD)

    async with await ask() as stream:
        chunks = [chunk async for chunk in stream]
    assert only_record()["total_tokens"] == chunks[-1].usage.total_tokens


def test_openais_streaming_helper_is_tracked(client):
    with track_ai_usage("f", "qwen-plus")(client.chat.completions.stream)(
        **ASK, stream_options={"include_usage": True}
    ) as stream:
        final = stream.get_final_completion()
    record = only_record()
    assert (record["total_tokens"], record["status"]) == (final.usage.total_tokens, "ok")
    assert record["ttft_ms"] > 0


def test_a_helper_that_is_left_early_is_aborted(client):
    with track_ai_usage("f", "qwen-plus")(client.chat.completions.stream)(**ASK) as stream:
        next(iter(stream))
    assert (only_record()["status"], only_record()["usage_source"]) == ("aborted", "none")


def openai_with(answer, http_kind=httpx2.Client, kind=openai.OpenAI):
    return kind(api_key="k", max_retries=0, http_client=http_kind(transport=httpx2.MockTransport(lambda _: answer)))


RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "gpt-4",
    "status": "in_progress",
    "output": [],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
}
RESPONSE_USAGE = {
    "input_tokens": 11,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 16,
}


def response_events():
    completed = {**RESPONSE, "status": "completed", "usage": RESPONSE_USAGE}
    events = [("response.created", RESPONSE), ("response.completed", completed)]
    frames = (
        f"event: {kind}\ndata: {json.dumps({'type': kind, 'sequence_number': number, 'response': response})}\n\n"
        for number, (kind, response) in enumerate(events)
    )
    return httpx2.Response(200, content="".join(frames), headers={"content-type": "text/event-stream"})


def of_the_response(record):
    names = ("model", "input_tokens", "output_tokens", "cache_read_tokens", "reasoning_tokens", "cost", "status")
    return [record[name] for name in names]


def test_openais_responses_are_tracked_streamed_and_through_their_helper():
    with openai_with(response_events()) as client:
        list(track_ai_usage("raw")(client.responses.create)(model="gpt-4", input="hi", stream=True))
    with (
        openai_with(response_events()) as client,
        track_ai_usage("helper")(client.responses.stream)(model="gpt-4", input="hi") as stream,
    ):
        assert stream.get_final_response().usage.total_tokens == 16
    booked = [of_the_response(record) for record in get_usage_monitor().journal.everything()]
    assert booked == [["gpt-4", 11, 5, 4, 2, 0.00441, "ok"]] * 2


def test_an_openai_error_is_tracked():
    refusal = httpx2.Response(401, json={"error": {"message": "who are you?"}})
    with openai_with(refusal) as client, pytest.raises(openai.AuthenticationError):
        track_ai_usage("f", "qwen-plus")(client.chat.completions.create)(**ASK)
    assert only_record()["error_msg"].startswith("AuthenticationError")


def test_anthropics_sdk_through_tollway_is_tracked(live):
    ask = {"model": "demo", "max_tokens": 99, "messages": ASK["messages"]}
    with anthropic.Anthropic(base_url=live.url, api_key=live.token, max_retries=0) as client:
        whole = track_ai_usage("whole")(client.messages.create)(**ask)
        with track_ai_usage("helper")(client.messages.stream)(**ask) as stream:
            assert stream.get_final_text() == whole.content[0].text
    told = [record["total_tokens"] for record in get_usage_monitor().journal.everything()]
    assert len(told) == 2
    assert told[0] == whole.usage.input_tokens + whole.usage.output_tokens > 0


def test_anthropics_streams_and_helper_are_tracked():
    ask = {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    with claude(anthropic.Anthropic, httpx2.Client) as client:
        list(track_ai_usage("raw")(client.messages.create)(**ask, stream=True))
        with track_ai_usage("helper")(client.messages.stream)(**ask) as stream:
            assert "".join(stream.text_stream) == "Hello"
    for record in get_usage_monitor().journal.everything():
        assert (record["model"], record["input_tokens"], record["output_tokens"]) == ("claude-haiku-4-5", 40, 7)
        assert record["status"] == "ok"


async def test_anthropics_async_helper_is_tracked():
    ask = {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    async with (
        claude(anthropic.AsyncAnthropic, httpx2.AsyncClient) as client,
        track_ai_usage("helper")(client.messages.stream)(**ask) as stream,
    ):
        assert (await stream.get_final_message()).content[0].text == "Hello"
    assert (only_record()["input_tokens"], only_record()["output_tokens"]) == (40, 7)


class Moody(BaseAgent):
    """Fails when told to."""

    async def run(self, request: OpenAIRequest):
        await self.stream.send("text", "so far")
        if "fail" in request.get_user_query():
            raise RuntimeError("out of order")


@pytest.mark.parametrize("strict", [False, True])
def test_openais_sdk_notices_a_failing_agent(strict):
    with (
        Served(publish_agent_api(Moody(), "run", strict_openai=strict)) as served,
        openai.OpenAI(base_url=f"{served.url}/alphadata", api_key="-", max_retries=0) as client,
    ):
        messages = [{"role": "user", "content": "fail"}]
        with pytest.raises(openai.APIError):
            list(client.chat.completions.create(model="m", messages=messages, stream=True))
        with pytest.raises(openai.InternalServerError):
            client.chat.completions.create(model="m", messages=messages)
        with client.chat.completions.stream(model="m", messages=[{"role": "user", "content": "hi"}]) as stream:
            assert stream.get_final_completion().choices[0].message.content == "so far"
        assert [model.id for model in client.models.list()] == ["AlphaData"]
