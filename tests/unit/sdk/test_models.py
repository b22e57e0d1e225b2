"""A model behind the OpenAI protocol: streams, tools, retries, and where keys may go."""

import asyncio
import copy
import json

import httpx2
import pytest
from tollway import ServerError, ServerUnreachableError
from tollway.memory import MemoryManager
from tollway.models import OpenAILike, openai_like
from tollway.server import OpenAIRequest
from tollway.tools import ToolRegistry


def frame(delta=None, finish=None, **more):
    choices = [{"index": 0, "delta": delta or {}, "finish_reason": finish}]
    return {"id": "c", "model": "m-1", "choices": choices, **more}


def sse(*frames, done=True):
    lines = [f"data: {json.dumps(each)}\n\n" for each in frames] + (["data: [DONE]\n\n"] if done else [])
    return httpx2.Response(200, content="".join(lines), headers={"content-type": "text/event-stream"})


HELLO = (
    frame({"role": "assistant", "content": ""}),
    frame({"reasoning_content": "hm"}),
    frame({"content": "Hel"}),
    frame({"content": "lo"}),
    frame(finish="stop"),
    {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}},
)
CALLS = (
    frame({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "look", "arguments": ""}}]}),
    frame({"tool_calls": [{"index": 0, "function": {"arguments": '{"q":'}}]}),
    frame({"tool_calls": [{"index": 1, "id": "b", "function": {"name": "see", "arguments": "{}"}}]}),
    frame({"tool_calls": [{"index": 0, "function": {"name": "look", "arguments": ' "x"}'}}]}),
    frame(finish="tool_calls"),
)


def lambda_free(x: int) -> int:
    return x


class Provider:
    """Answers with what it was given, in turn, and keeps the requests."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    def __call__(self, request):
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def body(self):
        return json.loads(self.requests[-1].content)

    def model(self, **options):
        return OpenAILike("http://model/v1", "m", "key", transport=httpx2.MockTransport(self), **options)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(
        openai_like,
        "_pause",
        lambda error, attempt, real=openai_like._pause: 0 if real(error, attempt) is not None else None,
    )


async def test_an_answer_streams_and_is_whole_at_its_end():
    provider = Provider(sse(*HELLO))
    answer = await provider.model(temperature=0.1).acall([{"role": "user", "content": "hi"}], max_tokens=9)
    chunks = [chunk async for chunk in answer]
    assert [chunk.content for chunk in chunks] == ["", "Hel", "lo"]
    assert (answer.response, answer.thinking, answer.finish_reason, answer.model) == ("Hello", "hm", "stop", "m-1")
    assert answer.usage["total_tokens"] == 5
    assert not answer.has_tool_calls
    assert provider.body == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "temperature": 0.1,
        "max_tokens": 9,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert provider.requests[0].headers["authorization"] == "Bearer key"
    assert str(provider.requests[0].url) == "http://model/v1/chat/completions"


async def test_text_alone_is_a_question():
    provider = Provider(sse(*HELLO))
    assert (await (await provider.model().acall("hi")).read()).response == "Hello"
    assert provider.body["messages"] == [{"role": "user", "content": "hi"}]


async def test_a_requests_own_messages_and_a_registry_can_be_handed_on():
    request = OpenAIRequest(messages=[{"role": "user", "content": "hi", "name": "ann"}])
    provider = Provider(sse(*HELLO))
    await provider.model().acall(request.messages, tools=ToolRegistry(lambda_free))
    assert provider.body["messages"] == [{"role": "user", "content": "hi", "name": "ann"}]
    assert provider.body["tools"][0]["function"]["name"] == "lambda_free"
    memory = MemoryManager()
    memory.add_message(request.messages[0])
    assert memory.messages == provider.body["messages"]


async def test_with_tools_the_calls_are_known_on_return():
    answer = await Provider(sse(*CALLS)).model().acall("hi", tools=[{"type": "function"}])
    assert answer.has_tool_calls
    assert [(call.id, call.name, call.arguments) for call in answer.tool_calls] == [
        ("a", "look", '{"q": "x"}'),
        ("b", "see", "{}"),
    ]


async def test_with_tools_text_can_still_be_iterated():
    answer = await Provider(sse(*HELLO)).model().acall("hi", tools=[{"type": "function"}])
    assert answer.response == "Hello"
    assert "".join([chunk.content async for chunk in answer]) == "Hello"


async def test_a_plain_json_answer_is_understood():
    message = {
        "role": "assistant",
        "content": "Hello",
        "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{}"}}],
    }
    body = {"model": "m", "choices": [{"message": message, "finish_reason": "stop"}], "usage": {"total_tokens": 1}}
    answer = await (await Provider(httpx2.Response(200, json=body)).model().acall("hi")).read()
    assert (answer.response, answer.tool_calls[0].name) == ("Hello", "f")


@pytest.mark.parametrize(
    "first", [httpx2.Response(503), httpx2.Response(429, headers={"retry-after": "1"}), httpx2.ConnectError("refused")]
)
async def test_what_may_pass_is_tried_again(first):
    provider = Provider(first, sse(*HELLO))
    assert (await (await provider.model().acall("hi")).read()).response == "Hello"
    assert len(provider.requests) == 2


@pytest.mark.parametrize(
    "first",
    [
        httpx2.Response(400, json={"error": {"message": "bad", "code": "invalid"}}),
        httpx2.Response(429, headers={"x-should-retry": "false"}, json={"error": {"message": "over budget"}}),
        httpx2.Response(429, headers={"retry-after": "3600"}),
        httpx2.Response(302, headers={"location": "http://elsewhere/"}),
    ],
)
async def test_what_cannot_help_is_not_tried_again(first):
    provider = Provider(first)
    with pytest.raises(ServerError) as refused:
        await provider.model().acall("hi")
    assert refused.value.status == first.status_code
    assert len(provider.requests) == 1


async def test_retries_end():
    provider = Provider(*[httpx2.Response(500, json={"error": {"message": "broken"}})] * 3)
    with pytest.raises(ServerError, match="500: broken"):
        await provider.model(max_retries=2).acall("hi")
    assert len(provider.requests) == 3


async def test_an_answer_that_breaks_off_is_no_success():
    answer = await Provider(sse(*HELLO[:3], done=False)).model().acall("hi")
    with pytest.raises(ServerUnreachableError, match="broke off"):
        await answer.read()


async def test_an_error_in_the_stream_is_raised():
    answer = await Provider(sse(HELLO[2], {"error": {"message": "overloaded", "code": "busy"}})).model().acall("hi")
    with pytest.raises(ServerError, match="overloaded"):
        await answer.read()


@pytest.mark.parametrize("read_first", [True, False])
async def test_leaving_early_closes_the_connection(read_first):
    class Body(httpx2.AsyncByteStream):
        closed = False

        async def __aiter__(self):
            for each in HELLO:
                yield f"data: {json.dumps(each)}\n\n".encode()
            await asyncio.Event().wait()

        async def aclose(self):
            self.closed = True

    body = Body()
    response = httpx2.Response(200, stream=body, headers={"content-type": "text/event-stream"})
    answer = await Provider(response).model().acall("hi")
    if read_first:
        await anext(answer)
    await answer.aclose()
    assert body.closed
    assert [chunk async for chunk in answer] == []


def test_the_environments_key_goes_to_tollway_only(monkeypatch):
    monkeypatch.setenv("TOLLWAY_URL", "http://gate:1/")
    monkeypatch.setenv("TOLLWAY_API_KEY", "ours")
    assert OpenAILike().base_url == "http://gate:1/v1"
    assert OpenAILike()._api_key == "ours"
    assert OpenAILike("http://elsewhere/v1")._api_key is None
    monkeypatch.delenv("TOLLWAY_URL")
    assert OpenAILike().base_url == "http://127.0.0.1:8080/v1"


def test_every_event_loop_has_connections_of_its_own():
    provider = Provider(sse(*HELLO), sse(*HELLO))
    model = provider.model()

    async def ask():
        text = (await (await model.acall("hi")).read()).response
        await model.aclose()
        return text

    assert [asyncio.run(ask()), asyncio.run(ask())] == ["Hello", "Hello"]


def test_copies_of_an_agent_share_the_model():
    model = OpenAILike("http://model")
    assert copy.deepcopy({"llm": model})["llm"] is model
