"""anthropic-sdk-python, as its users write it, before providers of both protocols."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import pytest

from tests.system.stack import ADMIN, Stack

SENTENCE = "Tollway carries every word of this answer from the provider to the client unharmed."
TOOLS: list[Any] = [
    {"name": "look_up", "description": "d", "input_schema": {"type": "object", "properties": {"q": {"type": "string"}}}}
]


def said(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


@pytest.fixture
def client(stack: Stack) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=stack.url, api_key=ADMIN, max_retries=0, timeout=20) as client:
        yield client


@pytest.mark.parametrize("protocol", ["a", "o"])
class TestBothProtocols:
    def test_plain_and_streamed(self, client: anthropic.Anthropic, protocol: str) -> None:
        ask: dict[str, Any] = {"model": f"{protocol}-ok", "max_tokens": 100, "messages": said("hi")}
        plain = client.messages.create(**ask)
        assert plain.content[0].text == SENTENCE
        assert plain.usage.output_tokens > 0
        with client.messages.stream(**ask) as stream:
            assert "".join(stream.text_stream) == SENTENCE
            final = stream.get_final_message()
        assert final.stop_reason == "end_turn"
        assert final.usage.output_tokens == plain.usage.output_tokens

    def test_a_tool_loop_of_the_clients_own(self, client: anthropic.Anthropic, protocol: str) -> None:
        ask: dict[str, Any] = {"model": f"{protocol}-tool", "max_tokens": 100, "tools": TOOLS}
        messages = said('{"q": "toll"}')
        with client.messages.stream(messages=messages, **ask) as stream:
            turn = stream.get_final_message()
        assert turn.stop_reason == "tool_use"
        call = next(block for block in turn.content if block.type == "tool_use")
        assert call.input == {"q": "toll"}
        messages += [
            {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in turn.content]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "42"}]},
        ]
        answer = client.messages.create(messages=messages, **ask)
        assert answer.content[0].text == "tool said: 42"

    def test_structured_output_arrives(self, client: anthropic.Anthropic, protocol: str) -> None:
        wanted = '{"road": "A1", "price": 3}'
        schema = {
            "type": "object",
            "properties": {"road": {"type": "string"}, "price": {"type": "integer"}},
            "required": ["road", "price"],
            "additionalProperties": False,
        }
        answer = client.messages.create(
            model=f"{protocol}-echo",
            max_tokens=100,
            messages=said(wanted),
            output_config={"format": {"type": "json_schema", "schema": schema}},
        )
        assert json.loads(answer.content[0].text) == json.loads(wanted)

    def test_errors_are_the_sdks_own_types(self, client: anthropic.Anthropic, protocol: str) -> None:
        ask: dict[str, Any] = {"max_tokens": 100, "messages": said("hi")}
        with pytest.raises(anthropic.RateLimitError):
            client.messages.create(model=f"{protocol}-s429", **ask)
        with pytest.raises(anthropic.InternalServerError):
            client.messages.create(model=f"{protocol}-s500", **ask)
        with (
            pytest.raises(anthropic.APIStatusError),
            client.messages.stream(model=f"{protocol}-cut", **ask) as stream,
        ):
            list(stream.text_stream)

    def test_leaving_a_stream_cuts_the_provider(
        self, client: anthropic.Anthropic, protocol: str, is_cut: Callable[[str], None]
    ) -> None:
        ask: dict[str, Any] = {"model": f"{protocol}-slow-100", "max_tokens": 100, "messages": said("hi")}
        with client.messages.stream(**ask) as stream:
            for number, _ in enumerate(stream.text_stream):
                if number == 3:
                    break
        is_cut("slow-100")

    def test_a_timeout_is_raised_and_cuts_the_provider(
        self, client: anthropic.Anthropic, protocol: str, is_cut: Callable[[str], None]
    ) -> None:
        ask: dict[str, Any] = {"model": f"{protocol}-hang", "max_tokens": 100, "messages": said("hi")}
        with pytest.raises(anthropic.APITimeoutError):
            client.with_options(timeout=0.8).messages.create(**ask)
        is_cut("hang")

    def test_tokens_are_counted(self, client: anthropic.Anthropic, protocol: str) -> None:
        told = client.messages.count_tokens(model=f"{protocol}-ok", messages=said("how many tokens are these?"))
        assert told.input_tokens > 3


def test_refusals_of_ours_are_the_sdks_own_types(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as missing:
        client.messages.create(model="nobody", max_tokens=5, messages=said("hi"))
    assert missing.value.request_id == missing.value.response.headers["x-request-id"]
    with pytest.raises(anthropic.BadRequestError):
        client.messages.create(model="a-ok", max_tokens=5, messages=[])


def test_thoughts_come_with_their_signature(client: anthropic.Anthropic) -> None:
    with client.messages.stream(model="a-think", max_tokens=100, messages=said("hi")) as stream:
        thought, text = stream.get_final_message().content
    assert (thought.type, thought.signature, text.text) == ("thinking", "sig-1", SENTENCE)


def test_models_are_listed(client: anthropic.Anthropic) -> None:
    assert "a-ok" in [model.id for model in client.models.list(limit=1000)]
    assert client.models.retrieve("a-ok").id == "a-ok"


@pytest.mark.parametrize("version", ["2023-06-01", "2026-10-21"])
def test_both_versions_are_served_with_a_bearer(stack: Stack, version: str) -> None:
    headers = {"anthropic-version": version}
    with anthropic.Anthropic(base_url=stack.url, auth_token=ADMIN, default_headers=headers, max_retries=0) as client:
        assert client.messages.create(model="a-ok", max_tokens=5, messages=said("hi")).content[0].text == SENTENCE
