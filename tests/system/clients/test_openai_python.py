"""openai-python, as its users write it, before providers of both protocols."""

import json
from collections.abc import Callable, Iterator

import openai
import pytest
from pydantic import BaseModel

from tests.system.stack import ADMIN, Stack

SENTENCE = "Tollway carries every word of this answer from the provider to the client unharmed."
TOOLS = [
    {
        "type": "function",
        "function": {"name": "look_up", "parameters": {"type": "object", "properties": {"q": {"type": "string"}}}},
    }
]


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


@pytest.fixture
def client(stack: Stack) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{stack.url}/v1", api_key=ADMIN, max_retries=0, timeout=20) as client:
        yield client


@pytest.mark.parametrize("protocol", ["o", "a"])
class TestBothProtocols:
    def test_plain_and_streamed(self, client: openai.OpenAI, protocol: str) -> None:
        plain = client.chat.completions.create(model=f"{protocol}-ok", messages=said("hi"))
        assert plain.choices[0].message.content == SENTENCE
        assert plain.usage.total_tokens > 0
        chunks = list(client.chat.completions.create(model=f"{protocol}-ok", messages=said("hi"), stream=True))
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == SENTENCE
        assert all(chunk.usage is None for chunk in chunks)
        assert len({chunk.id for chunk in chunks}) == 1

    def test_a_tool_loop_of_the_clients_own(self, client: openai.OpenAI, protocol: str) -> None:
        messages: list[dict[str, object]] = [*said('{"q": "toll"}')]
        with client.chat.completions.stream(model=f"{protocol}-tool", messages=messages, tools=TOOLS) as stream:
            turn = stream.get_final_completion().choices[0]
        assert turn.finish_reason == "tool_calls"
        (call,) = turn.message.tool_calls
        assert json.loads(call.function.arguments) == {"q": "toll"}
        messages += [
            turn.message.model_dump(exclude_none=True, exclude={"parsed"}),
            {"role": "tool", "tool_call_id": call.id, "content": "42"},
        ]
        answer = client.chat.completions.create(model=f"{protocol}-tool", messages=messages, tools=TOOLS)
        assert answer.choices[0].message.content == "tool said: 42"

    def test_structured_output_is_parsed(self, client: openai.OpenAI, protocol: str) -> None:
        class Toll(BaseModel):
            road: str
            price: int

        wanted = '{"road": "A1", "price": 3}'
        answer = client.chat.completions.parse(model=f"{protocol}-echo", messages=said(wanted), response_format=Toll)
        assert answer.choices[0].message.parsed == Toll(road="A1", price=3)

    def test_errors_are_the_sdks_own_types(self, client: openai.OpenAI, protocol: str) -> None:
        with pytest.raises(openai.RateLimitError) as limited:
            client.chat.completions.create(model=f"{protocol}-s429", messages=said("hi"))
        assert limited.value.response.headers["retry-after"]
        with pytest.raises(openai.InternalServerError):
            client.chat.completions.create(model=f"{protocol}-s500", messages=said("hi"))
        with pytest.raises(openai.APIError):
            list(client.chat.completions.create(model=f"{protocol}-cut", messages=said("hi"), stream=True))

    def test_leaving_a_stream_cuts_the_provider(
        self, client: openai.OpenAI, protocol: str, is_cut: Callable[[str], None]
    ) -> None:
        stream = client.chat.completions.create(model=f"{protocol}-slow-100", messages=said("hi"), stream=True)
        for number, _ in enumerate(stream):
            if number == 3:
                break
        stream.close()
        is_cut("slow-100")

    def test_a_timeout_is_raised_and_cuts_the_provider(
        self, client: openai.OpenAI, protocol: str, is_cut: Callable[[str], None]
    ) -> None:
        with pytest.raises(openai.APITimeoutError):
            client.with_options(timeout=0.8).chat.completions.create(model=f"{protocol}-hang", messages=said("hi"))
        is_cut("hang")


def test_refusals_of_ours_are_the_sdks_own_types(client: openai.OpenAI, stack: Stack) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="nobody", messages=said("hi"))
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as bad:
        client.chat.completions.create(model="o-ok", messages=[])
    assert bad.value.param == "messages"
    assert bad.value.request_id


def test_models_are_listed_and_found(client: openai.OpenAI) -> None:
    assert "o-ok" in [model.id for model in client.models.list()]
    assert client.models.retrieve("o-ok").id == "o-ok"


def test_the_sdks_all_parameters_body_is_taken(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="o-ok", messages=[{"role": "developer", "content": "x", "name": "n"}, *said("hi")],
        stream=False, max_tokens=10, max_completion_tokens=10, seed=-9007199254740991, logit_bias={"1": 0},
        functions=[{"name": "f", "parameters": {"foo": "bar"}}], function_call="none", tool_choice="none", tools=TOOLS,
        modalities=["text"], prediction={"type": "content", "content": "x"}, reasoning_effort="low", stop=None,
        response_format={"type": "text"}, service_tier="auto", store=True, user="u", metadata={"a": "b"}, n=1,
    )  # fmt: skip
    assert answer.choices[0].message.content == SENTENCE


async def test_the_async_client_streams_too(stack: Stack) -> None:
    async with openai.AsyncOpenAI(base_url=f"{stack.url}/v1", api_key=ADMIN, max_retries=0) as client:
        stream = await client.chat.completions.create(model="o-ok", messages=said("hi"), stream=True)
        assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == SENTENCE
