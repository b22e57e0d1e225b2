"""A complete text answer told again, in either dialect, whole or as the stream it could have been."""

from typing import Any

from shared.messages.gateway import Dialect
from shared.translate.answer import anthropic_answer_to_openai, openai_answer_to_anthropic
from shared.wire.openai import message_of
from shared.wire.sse import OPENAI_DONE, encode_object

_COMPLETE = {"openai": ("stop",), "anthropic": ("end_turn", "stop_sequence")}
_BLOCKS = ("text", "thinking", "redacted_thinking")


def replayable(answer: dict[str, Any], dialect: Dialect) -> bool:
    """Whether an answer is complete and nothing but text and thoughts."""
    if dialect == "anthropic":
        blocks = answer.get("content")
        plain = isinstance(blocks, list) and all(block.get("type") in _BLOCKS for block in blocks)
        return bool(blocks) and plain and answer.get("stop_reason") in _COMPLETE["anthropic"]
    choices = answer.get("choices")
    if not isinstance(choices, list) or len(choices) != 1:
        return False
    message = message_of(answer)
    odd = any(message.get(name) for name in ("tool_calls", "function_call", "refusal", "audio", "annotations"))
    complete = choices[0].get("finish_reason") in _COMPLETE["openai"]
    return complete and not odd and not choices[0].get("logprobs") and isinstance(message.get("content"), str)


def told_in(dialect: Dialect, answer: dict[str, Any], told: Dialect) -> dict[str, Any] | None:
    """The answer in a dialect; None when it cannot be told there without a loss."""
    if dialect == told:
        return answer
    other = anthropic_answer_to_openai(answer) if dialect == "openai" else openai_answer_to_anthropic(answer)
    return other if replayable(other, dialect) else None


def stream_of(answer: dict[str, Any], dialect: Dialect, *, include_usage: bool) -> list[bytes]:
    """The events of a stream that gives this answer."""
    return _messages_stream(answer) if dialect == "anthropic" else _chat_stream(answer, include_usage=include_usage)


def _chat_stream(answer: dict[str, Any], *, include_usage: bool) -> list[bytes]:
    message = message_of(answer)
    head = {name: value for name, value in answer.items() if name not in ("choices", "usage")}
    head["object"] = "chat.completion.chunk"
    deltas: list[tuple[dict[str, Any], str | None]] = [({"role": "assistant", "content": ""}, None)]
    deltas += [(delta, None) for delta in _said(message)]
    deltas.append(({}, answer["choices"][0]["finish_reason"]))
    extra = {"usage": None} if include_usage else {}
    events = [
        encode_object({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **extra})
        for delta, finish in deltas
    ]
    if include_usage and answer.get("usage"):
        events.append(encode_object({**head, "choices": [], "usage": answer["usage"]}))
    return [*events, OPENAI_DONE]


def _said(message: dict[str, Any]) -> list[dict[str, Any]]:
    """What the message says, thoughts and whatever else the provider added first."""
    extras = [name for name in message if name not in ("role", "content", "thinking_blocks") and message[name]]
    thoughts = enumerate(message.get("thinking_blocks") or [])
    return [
        *({name: message[name]} for name in extras),
        *({"thinking_blocks": [{"index": index, **block}]} for index, block in thoughts),
        *([{"content": message["content"]}] if message["content"] else []),
    ]


def _messages_stream(answer: dict[str, Any]) -> list[bytes]:
    usage = answer.get("usage") or {"input_tokens": 0, "output_tokens": 0}
    opened = {**answer, "content": [], "stop_reason": None, "stop_sequence": None}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**opened, "usage": {**usage, "output_tokens": 0}}}
    ]
    for index, block in enumerate(answer["content"]):
        events += _block_events(index, block)
    end = {"stop_reason": answer["stop_reason"], "stop_sequence": answer.get("stop_sequence")}
    events.append({"type": "message_delta", "delta": end, "usage": {"output_tokens": usage.get("output_tokens", 0)}})
    events.append({"type": "message_stop"})
    return [encode_object(event, event["type"]) for event in events]


def _block_events(index: int, block: dict[str, Any]) -> list[dict[str, Any]]:
    kind = block["type"]
    empty = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}}.get(kind, {})
    events: list[dict[str, Any]] = [
        {"type": "content_block_start", "index": index, "content_block": {**block, **empty}}
    ]
    for name in ("thinking", "text", "signature"):
        if block.get(name):
            delta = {"type": f"{name}_delta", name: block[name]}
            events.append({"type": "content_block_delta", "index": index, "delta": delta})
    return [*events, {"type": "content_block_stop", "index": index}]
