"""Conversations that cross the dialects, and thoughts that have to survive two turns of it."""

import json

from hypothesis import given
from hypothesis import strategies as st

from shared.translate.answer import anthropic_answer_to_openai
from shared.translate.conversation import messages_to_anthropic, messages_to_openai
from shared.translate.request import openai_to_anthropic
from shared.translate.stream import AnthropicToOpenAI
from tests.unit.translate.streams import (
    Json,
    anthropic_stream,
    read_by_openai,
    text_block,
    thinking_block,
    told_by,
    tool_block,
)

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
THOUGHT = {"type": "thinking", "thinking": "First then ünï", "signature": "EqQBCkYI/+=="}
USE = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}}


def second_turn(message: Json) -> Json:
    told = openai_to_anthropic(
        {
            "model": "m",
            "tools": [TOOL],
            "reasoning_effort": "high",
            "messages": [
                {"role": "user", "content": "hi"},
                message,
                {"role": "tool", "tool_call_id": "toolu_1", "content": "r"},
            ],
        }
    )
    turn: Json = told.body["messages"][1]
    return turn


def test_a_signed_thought_returns_byte_for_byte_from_a_whole_answer() -> None:
    answer = {"id": "msg_1", "content": [THOUGHT, {"type": "text", "text": "x"}, USE], "stop_reason": "tool_use"}
    message = anthropic_answer_to_openai(answer)["choices"][0]["message"]
    assert second_turn(message)["content"] == [THOUGHT, {"type": "text", "text": "x"}, USE]


def test_a_signed_thought_returns_byte_for_byte_from_a_stream_read_by_openais_helper() -> None:
    stream = anthropic_stream(
        thinking_block(0, "First |then| ünï", str(THOUGHT["signature"])),
        text_block(1, "x"),
        tool_block(2, "toolu_1", "f", '{"a":', "1}"),
        stop="tool_use",
    )
    completion = read_by_openai(b"".join(told_by(AnthropicToOpenAI(), [stream])))
    message = completion.choices[0].message.model_dump(exclude_none=True)
    assert second_turn(message)["content"] == [THOUGHT, {"type": "text", "text": "x"}, USE]


def test_a_conversation_with_everything_comes_back_as_it_was() -> None:
    conversation: list[Json] = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": "look",
            "reasoning_content": "First then ünï",
            "thinking_blocks": [THOUGHT],
            "tool_calls": [
                {"id": "functions.f:0", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
                {"id": "b", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "functions.f:0", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": "2"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "https://x"}}],
        },
        {"role": "assistant", "content": "done"},
    ]
    system, messages = messages_to_anthropic(conversation)
    assert [message["role"] for message in messages] == ["user", "assistant", "user", "assistant"]
    assert messages_to_openai(messages, system) == conversation


def test_an_empty_conversation_and_one_of_instructions_alone_stay_so() -> None:
    assert messages_to_anthropic([]) == ([], [])
    assert messages_to_openai([]) == []
    assert messages_to_anthropic([{"role": "system", "content": "s"}]) == ([{"type": "text", "text": "s"}], [])


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
ARGUMENTS = st.dictionaries(TEXTS, VALUES, max_size=3)


@st.composite
def conversations(draw: st.DrawFn) -> list[Json]:
    """Anthropic conversations of the shapes that agents have."""
    messages: list[Json] = []
    for turn in range(draw(st.integers(1, 3))):
        content: list[Json] = [{"type": "text", "text": draw(TEXTS)}]
        if draw(st.booleans()):
            content.append({"type": "image", "source": {"type": "url", "url": f"https://x.test/{turn}"}})
        if messages and messages[-1]["role"] == "user":
            messages[-1]["content"] += content
        else:
            messages.append({"role": "user", "content": content})
        blocks: list[Json] = []
        if draw(st.booleans()):
            blocks.append({"type": "thinking", "thinking": draw(TEXTS), "signature": draw(TEXTS)})
        if draw(st.booleans()):
            blocks.append({"type": "text", "text": draw(TEXTS)})
        uses = [
            {"type": "tool_use", "id": f"toolu_{turn}_{n}", "name": f"f{n}", "input": draw(ARGUMENTS)}
            for n in range(draw(st.integers(0, 3)))
        ]
        blocks += uses or ([] if len(blocks) > 1 else [{"type": "text", "text": "said"}])
        if blocks[0]["type"] == "text" and blocks[-1]["type"] == "text":
            blocks = blocks[:1]
        messages.append({"role": "assistant", "content": blocks})
        if uses:
            results = [{"type": "tool_result", "tool_use_id": u["id"], "content": draw(TEXTS)} for u in uses]
            messages.append({"role": "user", "content": results})
    return messages


@given(conversations())
def test_there_and_back_keeps_the_meaning(conversation: list[Json]) -> None:
    there = messages_to_openai(json.loads(json.dumps(conversation)))
    assert all(message["role"] in ("user", "assistant", "tool") for message in there)
    system, back = messages_to_anthropic(there)
    assert system == []
    assert back == conversation
