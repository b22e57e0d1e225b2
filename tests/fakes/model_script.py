"""What the scripted provider says: text, tool calls, usage, and the steps of a stream, in either dialect."""

import json
import re
import time
from dataclasses import dataclass
from typing import Any

SENTENCE = "Tollway carries every word of this answer from the provider to the client unharmed."
REASONING = "First I weigh the toll, then the way."
EXTRA = b'{"big": 12345678901234567890123, "odd": 1.10, "tiny": 1E-7, "none": null}'
FINISH = {
    "length": ("length", "max_tokens"),
    "refusal": ("content_filter", "refusal"),
    "stopseq": ("stop", "stop_sequence"),
}
PAGE = {"url": "https://toll.example", "title": "Tolls"}
TOOL_MODELS = ("tool", "tools2", "toolloop", "texttool", "toolvoid", "toolstop", "toolmess")


@dataclass
class Script:
    """What one answer says."""

    behaviour: str
    pieces: list[str]
    calls: list[tuple[str, dict[str, Any]]]
    reasoning: str | None
    input_tokens: int
    output_tokens: int

    def finish(self, *, anthropic: bool) -> str:
        if self.behaviour == "toolstop" and not anthropic:
            return "stop"
        pair = FINISH.get(self.behaviour, ("tool_calls", "tool_use") if self.calls else ("stop", "end_turn"))
        return pair[1] if anthropic else pair[0]

    def usage(self, *, anthropic: bool) -> dict[str, Any]:
        given, made = self.input_tokens, self.output_tokens
        cached = self.behaviour in ("cached", "cachedw")
        if anthropic and self.behaviour == "nousage":
            return {}
        if anthropic:
            read, write = (given // 2, given // 4) if cached else (0, 0)
            told = {"input_tokens": given - read - write, "output_tokens": made}
            return told | ({"cache_read_input_tokens": read, "cache_creation_input_tokens": write} if cached else {})
        usage: dict[str, Any] = {
            "prompt_tokens": given,
            "completion_tokens": made,
            "total_tokens": given + made,
        }
        if cached:
            details = {"cached_tokens": given // 2}
            usage["prompt_tokens_details"] = details | (
                {"cache_write_tokens": given // 4} if self.behaviour == "cachedw" else {}
            )
        if self.reasoning:
            usage["completion_tokens_details"] = {"reasoning_tokens": 9}
        return usage | self.extra("x_usage")

    @property
    def citations(self) -> list[dict[str, Any]]:
        """What the text cites, in Anthropic's words."""
        cited = {"type": "web_search_result_location", "cited_text": "toll", "encrypted_index": "e", **PAGE}
        return [cited] if self.behaviour == "cites" else []

    @property
    def annotations(self) -> dict[str, Any]:
        """What the text cites, as a member of OpenAI's message."""
        place = {"start_index": 0, "end_index": len("".join(self.pieces))}
        cited = {"type": "url_citation", "url_citation": PAGE | place}
        return {"annotations": [cited]} if self.behaviour == "cites" else {}

    def extra(self, name: str) -> dict[str, str]:
        return {name: "@x@"} if self.behaviour == "extras" else {}


def words(text: str) -> list[str]:
    """The text cut after each space."""
    return re.findall(r"\S+\s*|\s+", text) or [""]


def last_user_text(messages: list[dict[str, Any]]) -> str:
    """The newest user text."""
    for message in reversed(messages):
        content = message.get("content")
        if message.get("role") == "user" and isinstance(content, str):
            return content
        if message.get("role") == "user" and isinstance(content, list):
            text = " ".join(part.get("text", "") for part in content if part.get("type") == "text")
            if text:
                return text
    return ""


def tool_results(messages: list[dict[str, Any]]) -> list[str]:
    """Every tool result in the conversation, in either dialect."""

    def text(content: Any) -> str:
        return content if isinstance(content, str) else "".join(p.get("text", "") for p in content or [])

    found = []
    for message in messages:
        if message.get("role") == "tool":
            found.append(text(message.get("content")))
        elif isinstance(message.get("content"), list):
            found += [text(p.get("content")) for p in message["content"] if p.get("type") == "tool_result"]
    return found


def script_for(behaviour: str, body: dict[str, Any], raw: bytes) -> Script:
    """Decide what to say."""
    messages = body.get("messages", [])
    pieces, calls = say(behaviour, body, messages, raw)
    reasoning = REASONING if behaviour == "think" else None
    made = len(pieces) + sum(5 + len(json.dumps(a)) // 4 for _, a in calls) + (9 if reasoning else 0)
    given = max(1, len(json.dumps(messages)) // 4)
    return Script(behaviour, pieces, calls, reasoning, given, max(1, made))


def say(
    behaviour: str, body: dict[str, Any], messages: list[dict[str, Any]], raw: bytes
) -> tuple[list[str], list[tuple[str, dict[str, Any]]]]:
    """The text in pieces and the tool calls of an answer."""
    if behaviour == "history":
        roles = [m.get("role") for m in messages]
        return [json.dumps({"n": len(messages), "roles": roles, "system": body.get("system")}, ensure_ascii=False)], []
    if behaviour == "params":
        rest = {k: v for k, v in body.items() if k != "messages"}
        return [json.dumps(rest, sort_keys=True, ensure_ascii=False)], []
    if behaviour == "raw":
        return [raw.decode()], []
    if behaviour == "echo":
        return words(last_user_text(messages)), []
    if behaviour.startswith(("long-", "slow-", "quick-")):
        return ["tok "] * int(behaviour.split("-")[1]), []
    if behaviour == "utf8":
        return ["你好，", "世界 ", "🚦🛣️ ", "żółć ", "\u2028end"], []
    if behaviour == "rounds":
        return call_in_rounds(messages)
    if behaviour in TOOL_MODELS:
        return call_tools(behaviour, body, messages)
    return words(SENTENCE), []


def call_tools(
    behaviour: str, body: dict[str, Any], messages: list[dict[str, Any]]
) -> tuple[list[str], list[tuple[str, dict[str, Any]]]]:
    """Call what is offered, or say what the tools said."""
    offered = [tool.get("name") or tool["function"]["name"] for tool in body.get("tools", [])]
    results = tool_results(messages)
    if not offered or (results and behaviour != "toolloop"):
        return words("tool said: " + " | ".join(results)), []
    try:
        arguments = json.loads(last_user_text(messages))
    except ValueError:
        arguments = {}
    if not isinstance(arguments, dict) or behaviour == "toolvoid":
        arguments = {}
    count = 2 if behaviour in ("tools2", "toolmess") else 1
    return words("Let me look.") if behaviour == "texttool" else [], [(name, arguments) for name in offered[:count]]


def call_in_rounds(messages: list[dict[str, Any]]) -> tuple[list[str], list[tuple[str, dict[str, Any]]]]:
    """Call what the user wrote down, `[[[name, arguments], …], …]`, a round at a time; then say what the tools said."""
    rounds = json.loads(last_user_text(messages))
    said = tool_results(messages)
    for done, calls in enumerate(rounds):
        if sum(map(len, rounds[:done])) == len(said):
            return words(f"Round {done + 1}. "), [(name, arguments) for name, arguments in calls]
    return words("tools said: " + " | ".join(said)), []


def encoded(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode().replace(b'"@x@"', EXTRA)


def frame(value: Any, event: str | None = None) -> bytes:
    return (f"event: {event}\n" if event else "").encode() + b"data: " + encoded(value) + b"\n\n"


def error_body(*, anthropic: bool, kind: str, message: str, code: str | None = None) -> dict[str, Any]:
    if anthropic:
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_fake"}
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def plain_answer(script: Script, name: str, number: int, *, anthropic: bool) -> dict[str, Any]:
    """The whole answer as one JSON object."""
    text, x = "".join(script.pieces), script.extra
    if anthropic:
        content: list[dict[str, Any]] = []
        if script.reasoning:
            content.append({"type": "thinking", "thinking": script.reasoning, "signature": "sig-1"})
        if script.pieces:
            cited = {"citations": script.citations} if script.citations else {}
            content.append({"type": "text", "text": text, **cited, **x("x_block")})
        for i, (tool, arguments) in enumerate(script.calls):
            content.append({"type": "tool_use", "id": f"toolu_{number}_{i}", "name": tool, "input": arguments})
        stop = "END" if script.behaviour == "stopseq" else None
        head = {
            "id": f"msg-{number}",
            "type": "message",
            "role": "assistant",
            "model": name,
            "content": content,
        }
        tail = {"stop_reason": script.finish(anthropic=True), "stop_sequence": stop}
        return head | tail | {"usage": script.usage(anthropic=True) | x("x_usage")} | x("x_top")
    message: dict[str, Any] = {"role": "assistant", "content": text or None, **script.annotations, **x("x_message")}
    if script.reasoning:
        message["reasoning_content"] = script.reasoning
    if script.calls:
        message["tool_calls"] = [
            {
                "id": f"call_{number}_{i}",
                "type": "function",
                "function": {
                    "name": tool,
                    "arguments": "" if script.behaviour == "toolvoid" else json.dumps(arguments),
                },
            }
            for i, (tool, arguments) in enumerate(script.calls)
        ]
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": script.finish(anthropic=False),
        **x("x_choice"),
    }
    answer = {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": name,
        "choices": [choice],
    }
    return answer | x("x_top") | ({} if script.behaviour == "nousage" else {"usage": script.usage(anthropic=False)})


# bytes are written, a float is a pause, "cut", "error" and "piece" are signs for the writer
Step = bytes | float | str


def pauses_and_faults(script: Script, k: int) -> list[Step]:
    """What happens before piece number k of the text."""
    if script.behaviour.startswith("pause-") and k == 5:
        return [float(script.behaviour.split("-")[1])]
    if k != 5:
        return []
    faults: dict[str, list[Step]] = {
        "stall": [300.0],
        "cut": ["cut"],
        "cutbody": ["cut"],
        "errstream": ["error"],
        "badjson": [b'data: {"broken": \n\n'],
    }
    return faults.get(script.behaviour, [])


def fragments(script: Script, arguments: dict[str, Any]) -> list[str]:
    if script.behaviour in ("toolvoid", "toolmess"):
        return []
    text = json.dumps(arguments)
    return [text[q : q + 6] for q in range(0, len(text), 6)]


def openai_steps(script: Script, name: str, number: int, *, usage_asked: bool) -> list[Step]:
    """A streamed answer in OpenAI's dialect."""
    x = script.extra
    base = {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": name,
    }

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish, **x("x_choice")}
        return frame(base | {"system_fingerprint": "fp_fake", "choices": [choice]} | x("x_top"))

    steps: list[Step] = [b": hello\n\n"] if script.behaviour == "crlf" else []
    steps.append(chunk({"role": "assistant", "content": ""}))
    if script.behaviour == "errfirst":
        return [*steps, "error"]
    steps += [chunk({"reasoning_content": piece}) for piece in words(script.reasoning or "") if piece]
    for k, piece in enumerate(script.pieces):
        steps += [*pauses_and_faults(script, k), chunk({"content": piece, **x("x_delta")}), "piece"]
    for n, (tool, arguments) in enumerate(script.calls):
        call = {
            "index": n,
            "id": f"call_{number}_{n}",
            "type": "function",
            "function": {"name": tool, "arguments": ""},
        }
        steps.append(chunk({"tool_calls": [call]}))
        steps += [
            chunk({"tool_calls": [{"index": n, "function": {"arguments": part}}]})
            for part in fragments(script, arguments)
        ]
    if script.behaviour == "toolmess" and script.calls:
        whole = json.dumps(script.calls[0][1])
        for q in range(0, len(whole), 6):
            for n, (tool, _) in enumerate(script.calls):
                part = {"name": tool, "arguments": whole[q : q + 6]}
                steps.append(
                    chunk(
                        {"tool_calls": [{"index": n, "id": f"call_{number}_{n}", "type": "function", "function": part}]}
                    )
                )
    if script.annotations:
        steps.append(chunk(script.annotations))
    steps.append(chunk({}, script.finish(anthropic=False)))
    if usage_asked and script.behaviour != "nousage":
        steps.append(frame(base | {"choices": [], "usage": script.usage(anthropic=False)} | x("x_top")))
    return steps if script.behaviour in ("nodone", "noclose") else [*steps, b"data: [DONE]\n\n"]


def anthropic_steps(script: Script, name: str, number: int) -> list[Step]:
    """A streamed answer in Anthropic's dialect."""
    x, index = script.extra, 0
    told = script.usage(anthropic=True)
    usage = told | ({"output_tokens": 1} if told else {}) | x("x_usage")
    message = {
        "id": f"msg-{number}",
        "type": "message",
        "role": "assistant",
        "model": name,
        "content": [],
        "stop_reason": None,
    }

    def event(kind: str, **members: Any) -> bytes:
        return frame({"type": kind, **members}, kind)

    def block(kind: dict[str, Any], deltas: list[Step]) -> list[Step]:
        start = event("content_block_start", index=index, content_block=kind)
        return [start, *deltas, event("content_block_stop", index=index)]

    def delta(**members: Any) -> bytes:
        return event("content_block_delta", index=index, delta=members)

    steps: list[Step] = [event("message_start", message=message | {"stop_sequence": None, "usage": usage} | x("x_top"))]
    if script.behaviour == "errfirst":
        return [*steps, "error"]
    if script.behaviour == "extras":
        steps.append(event("x_future", x_event="@x@"))
    if script.reasoning:
        parts: list[Step] = [delta(type="thinking_delta", thinking=piece) for piece in words(script.reasoning)]
        parts.append(delta(type="signature_delta", signature="sig-1"))
        steps += block({"type": "thinking", "thinking": "", "signature": ""}, parts)
        index += 1
    if script.pieces:
        parts = [event("ping"), *(delta(type="citations_delta", citation=cited) for cited in script.citations)]
        for k, piece in enumerate(script.pieces):
            parts += [
                *pauses_and_faults(script, k),
                delta(type="text_delta", text=piece, **x("x_delta")),
                "piece",
            ]
        steps += block({"type": "text", "text": ""}, parts)
        index += 1
    for n, (tool, arguments) in enumerate(script.calls):
        given = arguments if script.behaviour == "toolmess" else {}
        parts = [delta(type="input_json_delta", partial_json=part) for part in fragments(script, arguments)]
        steps += block({"type": "tool_use", "id": f"toolu_{number}_{n}", "name": tool, "input": given}, parts)
        index += 1
    stop = {
        "stop_reason": script.finish(anthropic=True),
        "stop_sequence": "END" if script.behaviour == "stopseq" else None,
    }
    steps.append(event("message_delta", delta=stop, usage={"output_tokens": script.output_tokens} if told else {}))
    return steps if script.behaviour in ("nodone", "noclose") else [*steps, event("message_stop")]
