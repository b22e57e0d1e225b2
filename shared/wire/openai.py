"""OpenAI's dialect: its errors, the parts of messages that our tools are run by, streamed answers added up."""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.wire.call_tracker import CallTracker
from shared.wire.json_text import encode
from shared.wire.lenient import an_object, objects, text
from shared.wire.tool_call import ToolCall, ToolImage, arguments_text
from shared.wire.usage import NOTHING_TOLD, TokenUsage


def text_of(message: dict[str, Any]) -> str:
    """The text of a message of any role, parts joined; a refusal is text too."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = [part for part in objects(content) if part.get("type", "text") in ("text", "refusal")]
    return "".join(text(part.get("text")) or text(part.get("refusal")) for part in parts)


def message_of(answer: dict[str, Any]) -> dict[str, Any]:
    """The first choice's message of a complete answer; empty when there is none."""
    choices = objects(answer.get("choices"))
    return an_object(choices[0].get("message")) if choices else {}


def tool_calls_of(message: dict[str, Any]) -> list[ToolCall]:
    """The calls of an assistant message: functions, custom tools and the legacy `function_call`."""
    calls = []
    for call in objects(message.get("tool_calls")):
        if isinstance(custom := call.get("custom"), dict):
            arguments = encode({"input": custom.get("input") or ""}).decode()
            calls.append(ToolCall(text(call.get("id")), text(custom.get("name")), arguments))
        elif isinstance(function := call.get("function"), dict):
            arguments = arguments_text(function.get("arguments"))
            calls.append(ToolCall(text(call.get("id")), text(function.get("name")), arguments))
    legacy = message.get("function_call")
    if not calls and isinstance(legacy, dict):
        calls.append(ToolCall("", text(legacy.get("name")), arguments_text(legacy.get("arguments"))))
    return calls


def tool_name(tool: dict[str, Any]) -> str:
    """The name of an offered tool; empty for kinds without one."""
    return text(an_object(tool.get("function") or tool.get("custom")).get("name"))


def function_tool(name: str, description: str, input_schema: dict[str, Any]) -> dict[str, Any]:
    """A tool to offer."""
    return {"type": "function", "function": {"name": name, "description": description, "parameters": input_schema}}


def tool_result(call_id: str, content: str) -> dict[str, Any]:
    """The message that answers one call."""
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def tool_images_message(shown: Mapping[str, Sequence[ToolImage]]) -> dict[str, Any]:
    """The user's message with the pictures that tools answered, by the ids of the calls."""
    parts: list[dict[str, Any]] = []
    for call_id, images in shown.items():
        parts.append({"type": "text", "text": f"Images in the result of tool call {call_id}:"})
        urls = (f"data:{image.media_type};base64,{image.data}" for image in images)
        parts += ({"type": "image_url", "image_url": {"url": url}} for url in urls)
    return {"role": "user", "content": parts}


class _Call:
    def __init__(self) -> None:
        self.id = ""
        self.kind = "function"
        self.name = ""
        self.pieces: list[str] = []
        self.extras: dict[str, Any] = {}

    def take(self, delta: dict[str, Any]) -> None:
        if not self.id and isinstance(delta.get("id"), str):
            self.id = delta["id"]
        kind = "custom" if isinstance(delta.get("custom"), dict) else "function"
        inner = delta.get(kind)
        if isinstance(inner, dict):
            self.kind = kind
            self.name = self.name or text(inner.get("name"))
            piece = inner.get("input" if kind == "custom" else "arguments")
            if piece:
                self.pieces.append(piece if isinstance(piece, str) else arguments_text(piece))
        known = ("index", "id", "type", "function", "custom")
        self.extras |= {key: value for key, value in delta.items() if key not in known and value is not None}

    def told(self, position: int) -> dict[str, Any]:
        whole = "".join(self.pieces)
        call: dict[str, Any] = {"id": self.id or f"call_{position}", "type": self.kind}
        if self.kind == "custom":
            call["custom"] = {"name": self.name, "input": whole}
        else:
            call["function"] = {"name": self.name, "arguments": whole if whole.strip() else "{}"}
        return call | self.extras


class _Choice:
    def __init__(self) -> None:
        self.texts: dict[str, list[str]] = {}
        self.tracker = CallTracker()
        self.calls: list[_Call] = []
        self.legacy: _Call | None = None
        self.thinking_blocks: list[dict[str, Any]] = []
        self.finish_reason: str | None = None

    def take(self, delta: dict[str, Any]) -> None:
        for key in ("content", "refusal", "reasoning_content", "reasoning"):
            if isinstance(piece := delta.get(key), str):
                self.texts.setdefault(key, []).append(piece)
        for call in objects(delta.get("tool_calls")):
            self._take_call(call)
        if isinstance(function := delta.get("function_call"), dict):
            self.legacy = self.legacy or _Call()
            self.legacy.take({"function": function})
        for block in objects(delta.get("thinking_blocks")):
            self.thinking_blocks.append({key: value for key, value in block.items() if key != "index"})

    def _take_call(self, delta: dict[str, Any]) -> None:
        inner = an_object(delta.get("function") or delta.get("custom"))
        arguments = inner.get("arguments") or inner.get("input")
        position, begins = self.tracker.place(delta.get("index"), delta.get("id"), inner.get("name"), arguments)
        if begins:
            self.calls.append(_Call())
        self.calls[position].take(delta)

    def message(self) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": None}
        message |= {key: "".join(pieces) for key, pieces in self.texts.items() if "".join(pieces)}
        if self.thinking_blocks:
            message["thinking_blocks"] = self.thinking_blocks
        if self.calls:
            message["tool_calls"] = [call.told(i) for i, call in enumerate(self.calls)]
        if self.legacy is not None:
            message["function_call"] = self.legacy.told(0)["function"]
        if message["content"] is None and not self.calls and self.legacy is None and "refusal" not in message:
            message["content"] = ""
        return message

    def finish(self) -> str | None:
        if self.finish_reason == "stop" and self.calls:
            return "tool_calls"
        return self.finish_reason


class OpenAIAccumulator:
    """Adds up the chunks of a stream to the answer that would have come without streaming."""

    def __init__(self) -> None:
        self.usage: TokenUsage = NOTHING_TOLD
        self._common: dict[str, Any] = {}
        self._usage: dict[str, Any] | None = None
        self._choices: dict[int, _Choice] = {}

    def feed(self, chunk: dict[str, Any]) -> None:
        """Takes one chunk."""
        for key in ("id", "created", "model", "system_fingerprint", "service_tier", "tollway"):
            if chunk.get(key) is not None:
                self._common.setdefault(key, chunk[key])
        if isinstance(usage := chunk.get("usage"), dict):
            self._usage = usage
            self.usage = self.usage.merge(TokenUsage.from_openai(usage))
        for choice in objects(chunk.get("choices")):
            index = choice.get("index")
            state = self._choices.setdefault(index if isinstance(index, int) else 0, _Choice())
            if isinstance(delta := choice.get("delta"), dict):
                state.take(delta)
            if isinstance(finish := choice.get("finish_reason"), str) and finish:
                state.finish_reason = finish

    @property
    def message(self) -> dict[str, Any]:
        """The first choice's message so far."""
        return self._choices.get(0, _Choice()).message()

    @property
    def finish_reason(self) -> str | None:
        """Why the first choice ended; None while it has not."""
        return self._choices.get(0, _Choice()).finish()

    def answer(self) -> dict[str, Any]:
        """The complete answer."""
        choices = self._choices or {0: _Choice()}
        answer: dict[str, Any] = {"id": "", "object": "chat.completion", "created": 0, "model": "", **self._common}
        answer["choices"] = [
            {"index": index, "message": state.message(), "logprobs": None, "finish_reason": state.finish()}
            for index, state in sorted(choices.items())
        ]
        if self._usage is not None:
            answer["usage"] = self._usage
        return answer


__all__ = [
    "OpenAIAccumulator",
    "ToolCall",
    "function_tool",
    "message_of",
    "text_of",
    "tool_calls_of",
    "tool_images_message",
    "tool_name",
    "tool_result",
]
