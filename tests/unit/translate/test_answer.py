from typing import Any

import msgspec
import pytest

from shared.translate.answer import (
    anthropic_answer_to_openai,
    losses_of_completion,
    losses_of_message,
    openai_answer_to_anthropic,
)
from shared.translate.mend import mended_completion
from tests.unit.translate.streams import Json


def message(*content: Json, stop: str = "end_turn", **extras: Any) -> Json:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": list(content),
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 5},
        **extras,
    }


def completion(told: Json, finish: str = "stop", **extras: Any) -> Json:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-x",
        "choices": [{"index": 0, "message": {"role": "assistant", **told}, "finish_reason": finish}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
        **extras,
    }


def text(value: str) -> Json:
    return {"type": "text", "text": value}


def use(call_id: str, given: Json) -> Json:
    return {"type": "tool_use", "id": call_id, "name": "f", "input": given}


def call(call_id: str, arguments: Any) -> Json:
    return {"id": call_id, "type": "function", "function": {"name": "f", "arguments": arguments}}


def told_openai(body: Json, **options: Any) -> Json:
    return anthropic_answer_to_openai(body, created=1, **options)


def test_a_message_is_a_complete_completion() -> None:
    assert told_openai(message(text("Hello "), text("world"))) == {
        "id": "chatcmpl-msg_1",
        "object": "chat.completion",
        "created": 1,
        "model": "claude-x",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello world", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }


def test_thoughts_and_calls_have_their_members() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    choice = told_openai(message(thought, use("a", {"n": 10**22}), use("b", {}), stop="tool_use"))["choices"][0]
    assert choice["message"] == {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "reasoning_content": "hm",
        "thinking_blocks": [thought],
        "tool_calls": [call("a", '{"n":10000000000000000000000}'), call("b", "{}")],
    }
    assert choice["finish_reason"] == "tool_calls"


def test_a_refusal_is_said_and_its_text_kept() -> None:
    choice = told_openai(message(text("partly"), stop="refusal"))["choices"][0]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("content_filter", "partly")
    assert choice["message"]["refusal"] == "partly"
    details = {"type": "refusal", "explanation": "no"}
    choice = told_openai(message(stop="refusal", stop_details=details))["choices"][0]
    assert choice["message"]["refusal"] == "no"


def test_the_service_tier_is_in_openais_words() -> None:
    usage = {"input_tokens": 1, "output_tokens": 1, "service_tier": "standard"}
    assert told_openai(message(text("x"), usage=usage))["service_tier"] == "default"


def test_legacy_and_custom_calls_have_their_own_shapes() -> None:
    body = message(use("a", {"input": "ls"}), stop="tool_use")
    legacy = told_openai(body, legacy_functions=True)["choices"][0]
    assert legacy["message"]["function_call"] == {"name": "f", "arguments": '{"input":"ls"}'}
    assert legacy["finish_reason"] == "function_call"
    custom = told_openai(body, custom_tools=frozenset({"f"}))["choices"][0]["message"]["tool_calls"]
    assert custom == [{"id": "a", "type": "custom", "custom": {"name": "f", "input": "ls"}}]


def test_cited_pages_are_annotations() -> None:
    cited = {
        **text("fact"),
        "citations": [{"type": "web_search_result_location", "url": "https://x.test", "title": "X"}],
    }
    body = message(text("So: "), cited)
    (annotation,) = told_openai(body)["choices"][0]["message"]["annotations"]
    assert annotation["url_citation"] == {"url": "https://x.test", "title": "X", "start_index": 4, "end_index": 8}
    assert losses_of_message(body) == ("citations",)


def test_what_an_answer_holds_and_the_other_dialect_cannot_say_is_named() -> None:
    searched = message({"type": "server_tool_use", "id": "s"}, use("a", {}), use("b", {}))
    assert losses_of_message(searched) == ("content.server_tool_use",)
    assert losses_of_message(searched, legacy_functions=True) == ("content.server_tool_use", "tool_calls")
    spoken = completion({"content": "x", "audio": {"id": "a"}, "annotations": [{"type": "url_citation"}]})
    spoken["choices"] *= 2
    assert losses_of_completion(spoken) == ("n", "content.audio", "content.annotations")
    assert losses_of_completion(completion({"content": "x", "annotations": []})) == ()


def test_a_completion_is_a_complete_message() -> None:
    assert openai_answer_to_anthropic(completion({"content": "Hello"})) == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "gpt-x",
        "content": [text("Hello")],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 5},
    }


@pytest.mark.parametrize("finish", ["stop", "tool_calls"])
def test_reasoning_text_and_calls_are_blocks_in_order(finish: str) -> None:
    told = {
        "content": "t",
        "reasoning_content": "hm",
        "tool_calls": [call("a", '{"n": 12345678901234567890123}'), call("b", "")],
    }
    answer = openai_answer_to_anthropic(completion(told, finish))
    assert answer["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": ""},
        text("t"),
        use("a", {"n": 12345678901234567890123}),
        use("b", {}),
    ]
    assert answer["stop_reason"] == "tool_use"


def test_usage_that_was_not_told_is_estimated() -> None:
    body = completion({"content": "twelve chars", "tool_calls": [call("a", '{"a":1}')]})
    del body["usage"]
    usage = openai_answer_to_anthropic(body, input_estimate=7)["usage"]
    assert usage == {"input_tokens": 7, "output_tokens": 5}


def test_a_refusal_is_text_with_its_reason() -> None:
    answer = openai_answer_to_anthropic(completion({"content": None, "refusal": "no"}, "content_filter"))
    assert (answer["content"], answer["stop_reason"]) == ([text("no")], "refusal")


def test_odd_answers_do_not_break() -> None:
    assert (
        openai_answer_to_anthropic({"choices": [{"message": {"content": None, "tool_calls": None}}]})["content"] == []
    )
    parts = [{"type": "thinking", "thinking": [text("hm")]}, text("x")]
    content = openai_answer_to_anthropic(completion({"content": parts}))["content"]
    assert [block["type"] for block in content] == ["thinking", "text"]
    broken = openai_answer_to_anthropic(completion({"tool_calls": [call("a", "{half")]}, "length"))
    assert broken["content"][0]["input"] == {"_raw": "{half"}
    assert broken["stop_reason"] == "max_tokens"
    assert told_openai({"content": None})["choices"][0]["message"]["content"] == ""


@pytest.mark.parametrize(
    "told",
    [
        {
            "content": "t",
            "reasoning_content": "hm",
            "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}],
        },
        {"content": None, "tool_calls": [call("a", '{"x":[1,{"y":null}]}'), call("b", "{}")]},
        {"content": "ünï 🚦"},
    ],
)
def test_there_and_back_keeps_the_meaning(told: Json) -> None:
    there = openai_answer_to_anthropic(completion(told, "tool_calls" if "tool_calls" in told else "stop"))
    back = told_openai(there)
    assert back["choices"][0]["message"] == {"role": "assistant", "refusal": None, **told}
    assert back["usage"] == completion(told)["usage"]


def test_a_sound_completion_is_relayed_as_the_same_bytes() -> None:
    for body in (
        msgspec.json.encode(completion({"content": "x"})),
        msgspec.json.encode(completion({"content": None, "tool_calls": [call("a", "{}")]}, "tool_calls")),
        b"{}",
        b'{"choices": "odd"}',
        b"not json",
    ):
        assert mended_completion(body) is body


@pytest.mark.parametrize("blank", ["", " ", None])
def test_a_call_without_arguments_is_mended_to_have_empty_ones(blank: str | None) -> None:
    body = msgspec.json.encode(completion({"content": None, "tool_calls": [call("a", blank)]}, "tool_calls"))
    told = msgspec.json.decode(mended_completion(body))["choices"][0]["message"]
    assert told == {"role": "assistant", "content": None, "tool_calls": [call("a", "{}")]}


def test_a_completion_whose_calls_would_not_be_run_is_mended_and_nothing_else_changes() -> None:
    body = (
        b'{"id":"c","x":{"odd":1.10,"big":12345678901234567890123},"choices":[{"index":0,"message":{"role":"assistant",'
        b'"content":null,"tool_calls":[{"id":"a","function":{"name":"f","arguments":{"n":1E-7}}}]},"finish_reason":"stop"}]}'
    )
    assert mended_completion(body) == (
        b'{"id":"c","x":{"odd":1.10,"big":12345678901234567890123},"choices":[{"index":0,"message":{"role":"assistant",'
        b'"content":null,"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{\\"n\\":1E-7}"},"type":"function"}]},'
        b'"finish_reason":"tool_calls"}]}'
    )
