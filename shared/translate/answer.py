"""Complete answers, from each dialect to the other."""

from typing import Any

from shared import clock, ids
from shared.translate.citations import annotations_of
from shared.translate.progress import Progress
from shared.translate.reasons import finish_reason, stop_reason
from shared.translate.terms import UNSAID, Losses
from shared.translate.to_openai_stream import unwrapped_input
from shared.wire.anthropic import blocks_of
from shared.wire.json_text import encode_text
from shared.wire.lenient import an_object, objects, part_text, text
from shared.wire.openai import message_of
from shared.wire.tool_call import arguments_object
from shared.wire.usage import TokenUsage

Json = dict[str, Any]

_THOUGHTS = ("thinking", "redacted_thinking")
_CARRIED = frozenset({"text", "tool_use", *_THOUGHTS})
_TIERS = {"standard": "default", "priority": "priority"}


def anthropic_answer_to_openai(
    body: Json,
    *,
    model: str | None = None,
    answer_id: str | None = None,
    created: int | None = None,
    legacy_functions: bool = False,
    custom_tools: frozenset[str] = frozenset(),
) -> Json:
    """A message as a chat completion; `model` is the name told to the client, the provider's own when None."""
    message = _chat_message(body, custom_tools)
    if annotations := _annotations(body):
        message["annotations"] = annotations
    calls = message.get("tool_calls")
    finish = finish_reason(body.get("stop_reason"), has_calls=bool(calls))
    if legacy_functions and calls:
        message["function_call"] = message.pop("tool_calls")[0].get("function")
        finish = "function_call" if finish == "tool_calls" else finish
    if finish == "content_filter":
        message["refusal"] = _refusal(body) or message["content"] or ""
    answer: Json = {
        "id": answer_id or f"chatcmpl-{text(body.get('id')) or ids.uuid7().hex}",
        "object": "chat.completion",
        "created": int(clock.now()) if created is None else created,
        "model": model or text(body.get("model")),
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
    }
    usage = body.get("usage")
    if isinstance(usage, dict):
        answer["usage"] = TokenUsage.from_anthropic(usage).to_openai()
        if tier := _TIERS.get(str(usage.get("service_tier"))):
            answer["service_tier"] = tier
    return answer


def _chat_message(body: Json, custom_tools: frozenset[str]) -> Json:
    texts: list[str] = []
    thoughts: list[Json] = []
    calls: list[Json] = []
    for block in blocks_of(body):
        kind = block.get("type")
        if kind == "text":
            texts.append(text(block.get("text")))
        elif kind in _THOUGHTS:
            thoughts.append(block)
        elif kind == "tool_use":
            calls.append(_chat_call(block, len(calls), custom_tools))
    said = "".join(texts)
    message: Json = {"role": "assistant", "content": said or (None if calls else ""), "refusal": None}
    reasoning = "".join(text(thought.get("thinking")) for thought in thoughts)
    if reasoning:
        message["reasoning_content"] = reasoning
    if thoughts:
        message["thinking_blocks"] = thoughts
    if calls:
        message["tool_calls"] = calls
    return message


def _chat_call(block: Json, position: int, custom_tools: frozenset[str]) -> Json:
    call_id, name = text(block.get("id")) or f"call_{position}", text(block.get("name"))
    arguments = encode_text(block.get("input") or {})
    if name in custom_tools:
        return {"id": call_id, "type": "custom", "custom": {"name": name, "input": unwrapped_input(arguments)}}
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _annotations(body: Json) -> list[Json]:
    annotations: list[Json] = []
    end = 0
    for block in blocks_of(body):
        if block.get("type") != "text":
            continue
        start, end = end, end + len(text(block.get("text")))
        annotations += annotations_of(objects(block.get("citations")), start, end)
    return annotations


def losses_of_message(body: Json, *, legacy_functions: bool = False) -> tuple[str, ...]:
    """The names of what a message holds that a chat completion cannot."""
    losses = Losses()
    kinds = [text(block.get("type")) for block in blocks_of(body)]
    for kind in sorted(set(kinds) - _CARRIED):
        losses.add(f"content.{kind}")
    if any(block.get("citations") for block in blocks_of(body)):
        losses.add("citations")
    if legacy_functions and kinds.count("tool_use") > 1:
        losses.add("tool_calls")
    return losses.told()


def losses_of_completion(body: Json) -> tuple[str, ...]:
    """The names of what a chat completion holds that a message cannot."""
    losses, message = Losses(), message_of(body)
    if len(objects(body.get("choices"))) > 1:
        losses.add("n")
    for name in UNSAID:
        if message.get(name):
            losses.add(f"content.{name}")
    return losses.told()


def _refusal(body: Json) -> str | None:
    return text(an_object(body.get("stop_details")).get("explanation")) or None


def openai_answer_to_anthropic(
    body: Json, *, model: str | None = None, answer_id: str | None = None, input_estimate: int = 0
) -> Json:
    """A chat completion as a message; `model` is the name told to the client, the provider's own when None.

    Usage that the provider did not tell is estimated, for the shape wants numbers.
    """
    message = message_of(body)
    content = _thinking(message) + _texts(message) + _uses(message)
    choices = objects(body.get("choices")) or [{}]
    upstream_id = (text(body.get("id")) or ids.uuid7().hex).removeprefix("chatcmpl-")
    reason = stop_reason(choices[0].get("finish_reason"), has_calls=any(b["type"] == "tool_use" for b in content))
    return {
        "id": answer_id or f"msg_{upstream_id}",
        "type": "message",
        "role": "assistant",
        "model": model or text(body.get("model")),
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": (_told_usage(body) or _estimated_usage(content, input_estimate)).to_anthropic(),
    }


def _told_usage(body: Json) -> TokenUsage | None:
    usage = TokenUsage.from_openai(body.get("usage"))
    return usage if usage.is_told else None


def _estimated_usage(content: list[Json], input_estimate: int) -> TokenUsage:
    progress = Progress()
    for block in content:
        progress.count_text(text(block.get("text")) + text(block.get("thinking")))
        if "input" in block:
            progress.count_text(encode_text(block["input"]))
    return TokenUsage(input_estimate, progress.estimated_output_tokens)


def _thinking(message: Json) -> list[Json]:
    """Thoughts as blocks: signed ones as they were; others with the empty signature that says so."""
    blocks = [block for block in objects(message.get("thinking_blocks")) if block.get("type") in _THOUGHTS]
    if blocks:
        return [{key: value for key, value in block.items() if key != "index"} for block in blocks]
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    content = objects(message.get("content"))
    if not reasoning:
        reasoning = "".join(part_text(part.get("thinking")) for part in content if part.get("type") == "thinking")
    return (
        [{"type": "thinking", "thinking": reasoning, "signature": ""}]
        if isinstance(reasoning, str) and reasoning
        else []
    )


def _texts(message: Json) -> list[Json]:
    content, refusal = message.get("content"), message.get("refusal")
    texts = [content] if isinstance(content, str) else []
    if isinstance(content, list):
        texts = ["".join(part_text(part.get("text")) for part in objects(content))]
    if isinstance(refusal, str) and refusal not in texts:
        texts.append(refusal)
    return [{"type": "text", "text": said} for said in texts if said]


def _uses(message: Json) -> list[Json]:
    blocks: list[Json] = []
    for position, call in enumerate(objects(message.get("tool_calls"))):
        call_id = text(call.get("id")) or f"call_{position}"
        if isinstance(custom := call.get("custom"), dict):
            given: Json = {"input": text(custom.get("input"))}
            blocks.append({"type": "tool_use", "id": call_id, "name": text(custom.get("name")), "input": given})
        elif isinstance(function := call.get("function"), dict):
            blocks.append(_use(call_id, function))
    if not blocks and isinstance(function := message.get("function_call"), dict):
        blocks.append(_use("call_0", function))
    return blocks


def _use(call_id: str, function: Json) -> Json:
    arguments = arguments_object(function.get("arguments"))
    if arguments is None:
        # Cut short or malformed by the model: shown as it is rather than lost.
        arguments = {"_raw": function.get("arguments")}
    return {"type": "tool_use", "id": call_id, "name": text(function.get("name")), "input": arguments}
