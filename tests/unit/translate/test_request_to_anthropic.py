import base64
from typing import Any

import pytest

from shared.translate.request import CannotTranslate, RequestOptions, Translated, openai_to_anthropic
from tests.unit.translate.streams import Json

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 40).decode()
PDF = base64.b64encode(b"%PDF-1.7 ...").decode()
USER: Json = {"role": "user", "content": "hi"}
TOOL: Json = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}


def translate(body: Json, **options: Any) -> Translated:
    return openai_to_anthropic({"model": "m", "messages": [USER], **body}, RequestOptions(**options))


def of(messages: list[Json], **options: Any) -> Json:
    return translate({"messages": messages}, **options).body


def text(value: str) -> Json:
    return {"type": "text", "text": value}


def call(call_id: str, name: str = "f", arguments: Any = "{}") -> Json:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


# Every parameter of OpenAI's SDK at once, as its own test sends them.
ALL_PARAMETERS: Json = {
    "messages": [{"content": "string", "role": "developer", "name": "name"}],
    "model": "gpt-5.4",
    "audio": {"format": "wav", "voice": "alloy"},
    "frequency_penalty": -2,
    "function_call": "none",
    "functions": [{"name": "name", "description": "description", "parameters": {"foo": "bar"}}],
    "logit_bias": {"foo": 0},
    "logprobs": True,
    "max_completion_tokens": 0,
    "max_tokens": 0,
    "metadata": {"foo": "string"},
    "modalities": ["text"],
    "n": 1,
    "parallel_tool_calls": True,
    "prediction": {"content": "string", "type": "content"},
    "presence_penalty": -2,
    "prompt_cache_key": "prompt-cache-key-1234",
    "reasoning_effort": "none",
    "response_format": {"type": "text"},
    "safety_identifier": "safety-identifier-1234",
    "seed": -9007199254740991,
    "service_tier": "auto",
    "stop": "\n",
    "store": True,
    "stream": False,
    "stream_options": {"include_obfuscation": True, "include_usage": True},
    "temperature": 1,
    "tool_choice": "none",
    "tools": [{"function": {"name": "name", "parameters": {"foo": "bar"}, "strict": True}, "type": "function"}],
    "top_logprobs": 0,
    "top_p": 1,
    "user": "user-1234",
    "verbosity": "low",
    "web_search_options": {"search_context_size": "low"},
}


def test_every_parameter_at_once_is_carried_or_named() -> None:
    told = openai_to_anthropic(ALL_PARAMETERS)
    assert told.body["messages"] == [{"role": "user", "content": [text("string")]}]
    assert [tool["name"] for tool in told.body["tools"]] == ["name"]
    assert told.body["tool_choice"] == {"type": "none"}
    assert {"logprobs", "seed", "prediction", "web_search_options", "audio", "store", "messages.name"} <= set(
        told.lossy
    )
    assert not {"n", "modalities", "stream_options", "top_logprobs", "response_format", "temperature"} & set(told.lossy)


def test_null_and_empty_values_are_absent() -> None:
    names = ("tool_choice", "stop", "response_format", "temperature", "user", "seed", "reasoning_effort", "logit_bias")
    told = translate({"tools": [], **dict.fromkeys(names)})
    assert told.body.keys() == {"model", "max_tokens", "messages"}
    assert told.lossy == ()


def test_leading_instructions_are_system_blocks_of_their_own() -> None:
    told = of([{"role": "system", "content": "a"}, {"role": "developer", "content": [text("b"), text("")]}, USER])
    assert told["system"] == [text("a"), text("b")]
    assert told["messages"] == [{"role": "user", "content": [text("hi")]}]


LATE: list[Json] = [USER, {"role": "assistant", "content": "yes"}, USER, {"role": "system", "content": "late"}]


def test_late_instructions_are_folded_into_the_users_turn_and_named() -> None:
    told = translate({"messages": LATE})
    assert told.body["messages"][-1]["content"] == [text("hi"), text("<system>\nlate\n</system>")]
    assert told.lossy == ("messages.system",)


def test_late_instructions_stay_where_the_model_takes_them() -> None:
    told = translate({"messages": LATE}, takes_system_anywhere=True)
    assert told.body["messages"][-1] == {"role": "system", "content": [text("late")]}
    assert told.lossy == ()
    followed = of([*LATE, USER], takes_system_anywhere=True)
    assert [message["role"] for message in followed["messages"]] == ["user", "assistant", "user", "user"]


def test_instructions_between_a_call_and_its_result_come_after_the_result() -> None:
    told = of(
        [
            USER,
            {"role": "assistant", "tool_calls": [call("a")]},
            {"role": "system", "content": "late"},
            {"role": "tool", "tool_call_id": "a", "content": "r"},
        ]
    )
    assert [block["type"] for block in told["messages"][2]["content"]] == ["tool_result", "text"]


def test_results_of_one_turn_are_one_user_message_with_the_users_text_behind_them() -> None:
    told = of(
        [
            USER,
            {"role": "assistant", "content": "look", "tool_calls": [call("a"), call("b"), call("c")]},
            {"role": "tool", "tool_call_id": "a", "content": "1"},
            {"role": "tool", "tool_call_id": "b", "content": [text("2"), text("3")]},
            {"role": "tool", "tool_call_id": "c", "content": ""},
            {"role": "user", "content": "and?"},
        ]
    )
    assert [message["role"] for message in told["messages"]] == ["user", "assistant", "user"]
    assert told["messages"][1]["content"][0] == text("look")
    assert told["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": "a", "content": "1"},
        {"type": "tool_result", "tool_use_id": "b", "content": [text("2"), text("3")]},
        {"type": "tool_result", "tool_use_id": "c"},
        text("and?"),
    ]


def test_arguments_become_an_object_digit_for_digit() -> None:
    calls = [
        call("a", arguments='{"n": 12345678901234567890123, "s": "ü"}'),
        call("b", arguments=""),
        call("c", arguments={}),
    ]
    blocks = of([USER, {"role": "assistant", "content": "", "tool_calls": calls}])["messages"][1]["content"]
    assert [block["input"] for block in blocks] == [{"n": 12345678901234567890123, "s": "ü"}, {}, {}]


def test_arguments_that_are_no_object_are_refused_by_name_or_wrapped() -> None:
    messages = [USER, {"role": "assistant", "tool_calls": [call("a", arguments="{broken")]}]
    with pytest.raises(CannotTranslate, match="the call 'a' has arguments") as refused:
        of(messages)
    assert refused.value.param == "messages[1].tool_calls[0].function.arguments"
    assert of(messages, wraps_invalid_arguments=True)["messages"][1]["content"][0]["input"] == {"_raw": "{broken"}


def test_foreign_ids_fit_anthropics_alphabet_in_call_and_result() -> None:
    told = of(
        [
            USER,
            {"role": "assistant", "tool_calls": [call("functions.f:0"), call("functions.f.0")]},
            {"role": "tool", "tool_call_id": "functions.f:0", "content": "r"},
        ]
    )
    one, other = (block["id"] for block in told["messages"][1]["content"])
    assert one != other
    assert one.replace("_", "").isalnum()
    assert told["messages"][2]["content"][0]["tool_use_id"] == one


def test_signed_thoughts_come_first_byte_for_byte_and_others_are_never_invented() -> None:
    signed = {"type": "thinking", "thinking": "hm\u2028 ", "signature": "EqQBCg=="}
    redacted = {"type": "redacted_thinking", "data": "xyz"}
    unsigned = {"type": "thinking", "thinking": "x", "signature": ""}
    turn = {
        "role": "assistant",
        "content": "t",
        "reasoning_content": "hm",
        "thinking_blocks": [{"index": 0, **signed}, {"index": 1, **redacted}, unsigned],
        "tool_calls": [call("a")],
    }
    told = translate({"messages": [USER, turn]})
    blocks = told.body["messages"][1]["content"]
    assert blocks[:2] == [signed, redacted]
    assert [block["type"] for block in blocks[2:]] == ["text", "tool_use"]
    assert told.lossy == ("messages.thinking_blocks",)
    told = translate({"messages": [USER, {"role": "assistant", "content": "t", "reasoning_content": "hm"}]})
    assert told.body["messages"][1]["content"] == [text("t")]
    assert told.lossy == ("messages.reasoning_content",)


def test_legacy_functions_are_tools_and_their_messages_calls_and_results() -> None:
    told = translate(
        {
            "functions": [{"name": "f"}],
            "function_call": {"name": "f"},
            "messages": [
                USER,
                {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": '{"a":1}'}},
                {"role": "function", "name": "f", "content": "r"},
            ],
        }
    )
    assert told.legacy_functions
    assert told.body["tools"] == [{"name": "f", "input_schema": {"type": "object", "properties": {}}}]
    assert told.body["tool_choice"] == {"type": "tool", "name": "f", "disable_parallel_tool_use": True}
    use, result = told.body["messages"][1]["content"][0], told.body["messages"][2]["content"][0]
    assert (use["id"], use["input"]) == (result["tool_use_id"], {"a": 1})


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        ("required", {"type": "any"}),
        ({"type": "function", "function": {"name": "f"}}, {"type": "tool", "name": "f"}),
        ({"type": "custom", "custom": {"name": "f"}}, {"type": "tool", "name": "f"}),
    ],
)
def test_every_choice_of_tools_has_its_word(choice: Any, expected: Json) -> None:
    assert translate({"tools": [TOOL], "tool_choice": choice}).body["tool_choice"] == expected


def test_allowed_tools_narrow_the_offer() -> None:
    other = {"type": "function", "function": {"name": "g"}}
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "g"}}]}
    told = translate({"tools": [TOOL, other], "tool_choice": {"type": "allowed_tools", "allowed_tools": allowed}}).body
    assert [tool["name"] for tool in told["tools"]] == ["g"]
    assert told["tool_choice"] == {"type": "any"}


def test_one_call_at_a_time_needs_a_choice_to_say_so() -> None:
    told = translate({"tools": [TOOL], "parallel_tool_calls": False}).body
    assert told["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert "tool_choice" not in translate({"parallel_tool_calls": False, "tool_choice": "auto"}).body


def test_a_custom_tool_is_a_function_of_one_text() -> None:
    custom = {"type": "custom", "custom": {"name": "sh", "description": "d", "format": {"type": "grammar"}}}
    turn = {"role": "assistant", "tool_calls": [{"id": "a", "type": "custom", "custom": {"name": "sh", "input": "ls"}}]}
    told = translate({"tools": [custom], "messages": [USER, turn]})
    assert told.custom_tools == {"sh"}
    assert told.body["tools"][0]["input_schema"]["required"] == ["input"]
    assert told.body["messages"][1]["content"][0]["input"] == {"input": "ls"}
    assert told.lossy == ("tools.custom.format",)


def test_schemas_survive_as_they_are() -> None:
    schema = {"type": "object", "$defs": {"Ä": {"type": "string"}}, "properties": {"ключ": {"$ref": "#/$defs/Ä"}}}
    tool = {"type": "function", "function": {"name": "f", "parameters": schema, "strict": True}}
    told = translate({"tools": [tool]}).body["tools"][0]
    assert (told["input_schema"], told["strict"]) == (schema, True)


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("https://x.test/a.png", {"type": "url", "url": "https://x.test/a.png"}),
        (f"data:image/png;base64,{PNG}", {"type": "base64", "media_type": "image/png", "data": PNG}),
        (f"data:image/jpeg;base64,{PNG}", {"type": "base64", "media_type": "image/png", "data": PNG}),
        (f"data:application/octet-stream;base64,{PNG}", {"type": "base64", "media_type": "image/png", "data": PNG}),
        ("data:image/jpg;base64,AAAA", {"type": "base64", "media_type": "image/jpeg", "data": "AAAA"}),
    ],
)
def test_images_travel_by_url_and_by_content_with_their_true_type(url: str, source: Json) -> None:
    part = {"type": "image_url", "image_url": {"url": url, "detail": "high"}}
    told = translate({"messages": [{"role": "user", "content": [text("see"), part]}]})
    assert told.body["messages"][0]["content"] == [text("see"), {"type": "image", "source": source}]
    assert told.lossy == ("image_url.detail",)


def test_a_very_large_image_is_no_trouble() -> None:
    url = "data:image/png;base64," + PNG + "A" * 25_000_000
    part = {"type": "image_url", "image_url": {"url": url}}
    told = of([{"role": "user", "content": [part]}])
    assert len(told["messages"][0]["content"][0]["source"]["data"]) > 25_000_000


def test_files_are_documents() -> None:
    file = {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}
    note = {"file_data": "data:text/plain;base64," + base64.b64encode(b"note").decode()}
    parts = [{"type": "file", "file": file}, {"type": "file", "file": note}]
    told = of([{"role": "user", "content": parts}])["messages"][0]["content"]
    pdf = {"type": "base64", "media_type": "application/pdf", "data": PDF}
    assert told == [
        {"type": "document", "source": pdf, "title": "a.pdf"},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "note"}},
    ]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"n": 2}, "n"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"modalities": ["text", "image"]}, "modalities"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"role": "user", "content": ""}]}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages[0].content[0]"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages[0].content[0]",
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image_url", "image_url": "data:image/svg+xml,<svg/>"}]}
                ]
            },
            "messages[0].content[0]",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]},
            "messages[0].content[0]",
        ),
        ({"messages": [USER, {"role": "tool", "content": "x"}]}, "messages[1].tool_call_id"),
        (
            {"messages": [USER, {"role": "assistant", "tool_calls": [{"id": "", "function": {}}]}]},
            "messages[1].tool_calls[0].id",
        ),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"tools": {}}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": "sometimes", "tools": [TOOL]}, "tool_choice"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.schema"),
        ({"reasoning_effort": "extreme"}, "reasoning_effort"),
        ({"stop": 5}, "stop"),
        ({"temperature": "hot"}, "temperature"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_by_name(body: Json, param: str) -> None:
    with pytest.raises(CannotTranslate) as refused:
        translate(body)
    assert refused.value.param == param
    assert refused.value.status == 400


def test_the_limit_of_tokens_is_the_callers_the_models_or_the_default() -> None:
    assert translate({"max_completion_tokens": 7, "max_tokens": 9}).body["max_tokens"] == 7
    assert translate({}, max_tokens_default=5000).body["max_tokens"] == 5000
    assert translate({}, max_tokens_default=5000, max_tokens_limit=100).body["max_tokens"] == 100
    clamped = translate({"max_tokens": 99999}, max_tokens_limit=4096)
    assert (clamped.body["max_tokens"], clamped.lossy) == (4096, ("max_tokens",))


def test_sampling_is_clamped_by_the_old_version_and_dropped_by_the_new() -> None:
    old = translate({"temperature": 1.5, "top_p": 0.9})
    assert (old.body["temperature"], old.body["top_p"], old.lossy) == (1, 0.9, ("temperature",))
    new = translate({"temperature": 0.5, "top_p": 0.9}, anthropic_version="2026-10-21")
    assert not {"temperature", "top_p"} & new.body.keys()
    assert new.lossy == ("temperature", "top_p")


def test_effort_is_told_as_effort_or_as_a_budget() -> None:
    told = translate({"reasoning_effort": "xhigh", "temperature": 0.3})
    assert told.body["output_config"] == {"effort": "xhigh"}
    assert told.body["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert told.lossy == ("temperature",)
    assert translate({"reasoning_effort": "minimal"}).body["output_config"] == {"effort": "low"}
    assert translate({"reasoning_effort": "none"}).body["thinking"] == {"type": "disabled"}
    budget = translate({"reasoning_effort": "high", "max_tokens": 5000}, thinking="budget")
    assert budget.body["thinking"] == {"type": "enabled", "budget_tokens": 3750}
    grown = translate({"reasoning_effort": "high"}, thinking="budget", max_tokens_default=4000)
    assert (grown.body["max_tokens"], grown.body["thinking"]["budget_tokens"]) == (20384, 15288)
    forced = translate({"reasoning_effort": "high", "tools": [TOOL], "tool_choice": "required"}, thinking="budget")
    assert "thinking" not in forced.body
    assert forced.lossy == ("reasoning_effort",)


def test_a_budget_for_thinking_is_not_asked_for_in_a_turn_whose_thoughts_are_gone() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    result = {"role": "tool", "tool_call_id": "a", "content": "r"}
    for kept in ([], [thought]):
        turn = {"role": "assistant", "thinking_blocks": kept, "tool_calls": [call("a")]}
        told = translate({"messages": [USER, turn, result], "reasoning_effort": "low"}, thinking="budget")
        assert ("thinking" in told.body) is bool(kept)
        assert ("reasoning_effort" in told.lossy) is not bool(kept)


def test_a_schema_for_the_answer_is_native_and_leaves_tools_and_effort_alone() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}
    told = translate({"response_format": form, "tools": [TOOL], "reasoning_effort": "low"}).body
    assert told["output_config"] == {"format": {"type": "json_schema", "schema": schema}, "effort": "low"}
    assert "tool_choice" not in told


def test_a_json_object_is_asked_for_in_words() -> None:
    told = translate({"response_format": {"type": "json_object"}})
    assert "JSON object" in told.body["system"][0]["text"]
    assert told.lossy == ("response_format",)


def test_stop_users_tiers_and_streams_have_their_words() -> None:
    told = translate({"stop": ["END", "", " "], "user": "me@x.test", "service_tier": "flex", "stream": True})
    assert told.body["stop_sequences"] == ["END"]
    assert len(told.body["metadata"]["user_id"]) == 64
    assert told.body["service_tier"] == "standard_only"
    assert told.body["stream"] is True
    assert told.lossy == ("stop",)


def test_cache_marks_travel_and_only_the_latest_four_stay() -> None:
    parts = [{**text(str(n)), "prompt_cache_breakpoint": {"mode": "explicit"}} for n in range(4)]
    own = {**text("own"), "cache_control": {"type": "ephemeral"}}
    told = translate({"messages": [{"role": "user", "content": [*parts, own]}]})
    marks = [block.get("cache_control") for block in told.body["messages"][0]["content"]]
    assert marks == [None, *[{"type": "ephemeral", "ttl": "1h"}] * 3, {"type": "ephemeral"}]


def test_names_of_losses_fit_a_header_whatever_the_request_calls_its_fields() -> None:
    told = translate({"x\r\nset-cookie: a": 1, "ü" * 500: 1, **{f"p{n}": 1 for n in range(500)}}).lossy
    assert told[:3] == ("x??set-cookie??a", "?" * 64, "p0")
    assert len(told) == 50


def test_unknown_parameters_are_named() -> None:
    assert translate({"odd_field": 1, "seed": 5}).lossy == ("odd_field", "seed")


def test_members_of_messages_that_stay_behind_are_named() -> None:
    said = {"role": "assistant", "content": "x", "annotations": [{"type": "url_citation"}], "audio": {"id": "a"}}
    silent = {"role": "assistant", "content": "x", "refusal": None, "annotations": [], "audio": None}
    assert translate({"messages": [USER, said, USER]}).lossy == ("messages.annotations", "messages.audio")
    assert translate({"messages": [USER, silent, USER]}).lossy == ()
