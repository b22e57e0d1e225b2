from typing import Any

import pytest

from shared.translate.request import CannotTranslate, RequestOptions, Translated, anthropic_to_openai
from tests.unit.translate.streams import Json

USER: Json = {"role": "user", "content": "hi"}
TOOL: Json = {"name": "f", "description": "d", "input_schema": {"type": "object"}}
IMAGE: Json = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
IMAGE_PART: Json = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def translate(body: Json, **options: Any) -> Translated:
    return anthropic_to_openai({"model": "m", "max_tokens": 9, "messages": [USER], **body}, RequestOptions(**options))


def of(messages: list[Json], **options: Any) -> list[Json]:
    told: list[Json] = translate({"messages": messages}, **options).body["messages"]
    return told


def text(value: str) -> Json:
    return {"type": "text", "text": value}


def use(call_id: str, given: Json | None = None) -> Json:
    return {"type": "tool_use", "id": call_id, "name": "f", "input": given or {}}


def result(call_id: str, content: Any = "r", **extras: Any) -> Json:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **extras}


def test_a_plain_request_is_plain() -> None:
    assert translate({}).body == {"model": "m", "messages": [USER], "max_tokens": 9}


def test_system_blocks_are_one_message_without_claude_codes_attribution() -> None:
    attribution = text("x-anthropic-billing-header: cc_version=2.1.329; cch=1a2b;")
    told = translate({"system": [attribution, text("You are"), text("brief")]})
    assert told.body["messages"] == [{"role": "system", "content": "You are\n\nbrief"}, USER]
    assert told.lossy == ()
    assert translate({"system": [attribution]}).body["messages"] == [USER]


def test_late_instructions_go_first_or_stay_where_the_provider_takes_them() -> None:
    messages = [USER, {"role": "system", "content": "late"}]
    told = translate({"system": "early", "messages": messages})
    assert told.body["messages"] == [{"role": "system", "content": "early\n\nlate"}, USER]
    assert told.lossy == ("messages.system",)
    assert of(messages, takes_late_system=True) == messages


def test_results_follow_the_calls_directly_and_other_content_comes_after() -> None:
    told = translate(
        {
            "messages": [
                USER,
                {"role": "assistant", "content": [text("look"), use("a", {"n": 12345678901234567890123}), use("b")]},
                {
                    "role": "user",
                    "content": [text("before"), result("a", [text("see"), IMAGE], is_error=True), result("b", "2")],
                },
            ]
        }
    )
    assert told.body["messages"][1]["content"] == "look"
    assert [call["function"]["arguments"] for call in told.body["messages"][1]["tool_calls"]] == [
        '{"n":12345678901234567890123}',
        "{}",
    ]
    first, second, user = told.body["messages"][2:]
    assert (first["role"], first["tool_call_id"]) == ("tool", "a")
    assert first["content"].startswith("[tool error] see\n[the tool returned an image")
    assert second == {"role": "tool", "tool_call_id": "b", "content": "2"}
    assert user == {"role": "user", "content": [IMAGE_PART, text("before")]}
    assert told.lossy == ("tool_result.is_error",)


def test_images_and_documents_are_parts() -> None:
    pdf = {
        "type": "document",
        "title": "a.pdf",
        "source": {"type": "base64", "media_type": "application/pdf", "data": "AA"},
    }
    note = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "note"}}
    url = {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}}
    (told,) = of([{"role": "user", "content": [IMAGE, url, pdf, note]}])
    assert told["content"] == [
        IMAGE_PART,
        {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA"}},
        text("note"),
    ]


def test_thoughts_are_reasoning_where_it_is_taken_and_named_where_it_is_not() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    messages = [USER, {"role": "assistant", "content": [thought, text("t")]}, USER]
    assert of(messages)[1] == {"role": "assistant", "content": "t"}
    assert of(messages, takes_reasoning_content=True)[1]["reasoning_content"] == "hm"
    assert translate({"messages": messages}).lossy == ("thinking",)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "auto"}, {"tool_choice": "auto"}),
        ({"type": "any"}, {"tool_choice": "required"}),
        ({"type": "none"}, {"tool_choice": "none"}),
        ({"type": "tool", "name": "f"}, {"tool_choice": {"type": "function", "function": {"name": "f"}}}),
        ({"type": "auto", "disable_parallel_tool_use": True}, {"tool_choice": "auto", "parallel_tool_calls": False}),
    ],
)
def test_every_choice_of_tools_has_its_word(choice: Json, expected: Json) -> None:
    told = translate({"tools": [TOOL], "tool_choice": choice}).body
    assert {key: told[key] for key in ("tool_choice", "parallel_tool_calls") if key in told} == expected
    assert told["tools"] == [
        {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}
    ]


def test_tools_of_the_vendor_are_left_out_and_named() -> None:
    told = translate({"tools": [TOOL, {"type": "web_search_20250305", "name": "web_search"}]})
    assert len(told.body["tools"]) == 1
    assert told.lossy == ("tools.web_search_20250305",)


def test_effort_and_schema_have_their_words() -> None:
    schema = {"type": "object"}
    told = translate({"output_config": {"effort": "max", "format": {"type": "json_schema", "schema": schema}}})
    assert told.body["reasoning_effort"] == "high"
    assert told.body["response_format"]["json_schema"] == {"name": "answer", "schema": schema, "strict": True}
    assert told.lossy == ("output_config.effort",)
    thinking = {"type": "enabled", "budget_tokens": 5000}
    assert translate({"thinking": thinking}).body["reasoning_effort"] == "medium"


def test_parameters_have_their_words() -> None:
    told = translate(
        {
            "temperature": 0.5,
            "top_p": 0.9,
            "top_k": 5,
            "stop_sequences": ["a", "b", "c", "d", "e"],
            "metadata": {"user_id": "me"},
            "service_tier": "standard_only",
            "stream": True,
            "context_management": {"edits": []},
            "speed": "standard",
        },
        max_tokens_field="max_completion_tokens",
    )
    assert told.body.keys() == {
        *("model", "messages", "max_completion_tokens", "temperature", "top_p", "stop", "user", "service_tier"),
        *("stream", "stream_options"),
    }
    assert told.body["stop"] == ["a", "b", "c", "d"]
    assert told.body["stream_options"] == {"include_usage": True}
    assert told.lossy == ("stop_sequences", "top_k", "context_management")


def test_cache_marks_travel_where_the_provider_takes_them() -> None:
    block = {**text("x"), "cache_control": {"type": "ephemeral"}}
    messages = [{"role": "user", "content": [block]}]
    assert translate({"messages": messages}).lossy == ("cache_control",)
    part = of(messages, takes_cache_breakpoints=True)[0]["content"][0]
    assert part == {**text("x"), "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"}}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": [USER, {"role": "assistant", "content": "The best"}]}, "messages"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"system": 5}, "system"),
        ({"tool_choice": {"type": "any"}, "tools": [{"type": "bash_20250124", "name": "bash"}]}, "tool_choice"),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({"stop_sequences": "x"}, "stop_sequences"),
        ({"output_config": {"effort": "heroic"}}, "output_config.effort"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}]}
                ]
            },
            "messages[0].content[0]",
        ),
    ],
)
def test_what_cannot_be_asked_for_is_refused_by_name(body: Json, param: str) -> None:
    with pytest.raises(CannotTranslate) as refused:
        translate(body)
    assert refused.value.param == param


def test_members_that_stay_behind_are_named_wherever_they_stand() -> None:
    cited = {**text("x"), "citations": [{"type": "char_location"}]}
    called = {**use("a"), "caller": {"type": "code_execution_20250825", "tool_id": "t"}}
    told = translate(
        {
            "system": [{**text("s"), "odd": 1}],
            "messages": [
                {"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "u"}, "alt": "a"}]},
                {"role": "assistant", "content": [cited, called], "model": "claude-x"},
                {"role": "user", "content": [result("a", cache_control={"type": "ephemeral"}, at=5)]},
            ],
            "tools": [{**TOOL, "eager_input_streaming": True}],
            "output_config": {"task_budget": {"type": "tokens"}},
            "metadata": {"team": "x"},
            "service_tier": "priority",
        }
    )
    assert set(told.lossy) == {
        *("content.odd", "content.alt", "content.citations", "content.caller", "content.at", "messages.model"),
        *("cache_control", "tools.eager_input_streaming"),
        *("output_config.task_budget", "metadata.team", "service_tier"),
    }


def test_members_that_say_nothing_are_not_named() -> None:
    block = {**text("x"), "citations": None}
    called = {**use("a"), "caller": {"type": "direct"}}
    turns = [USER, {"role": "assistant", "content": [block, called]}, {"role": "user", "content": [result("a")]}]
    assert translate({"messages": turns, "tools": [{**TOOL, "defer_loading": False}]}).lossy == ()


def test_what_claude_code_sends_is_carried_or_named() -> None:
    told = translate(
        {
            "thinking": {"type": "adaptive", "display": "omitted"},
            "context_management": {"edits": [{"type": "clear_thinking_20251015"}]},
            "output_config": {"effort": "medium"},
            "metadata": {"user_id": '{"device_id":"a","session_id":"b"}'},
            "system": [
                text("x-anthropic-billing-header: cc_version=2.1.329;"),
                {**text("You are Claude Code."), "cache_control": {"type": "ephemeral"}},
            ],
            "tools": [{**TOOL, "defer_loading": True}, {**TOOL, "name": "DeferredToolPlaceholder"}],
            "messages": [
                {"role": "user", "content": [text("one"), text("two")]},
                {"role": "system", "content": "available tools"},
                {"role": "assistant", "content": [{"type": "thinking", "thinking": "", "signature": "s"}, text("ok")]},
                {"role": "user", "content": "go"},
            ],
            "stream": True,
        }
    )
    assert [message["role"] for message in told.body["messages"]] == ["system", "user", "assistant", "user"]
    assert told.body["reasoning_effort"] == "medium"
    assert set(told.lossy) == {
        *("cache_control", "messages.system", "thinking", "tools.defer_loading", "context_management"),
    }
