"""Anthropic's dialect: its errors, the parts of messages that our tools are run by, streamed answers added up."""

from collections.abc import Sequence
from typing import Any

from shared.wire.lenient import objects, text
from shared.wire.tool_call import ToolCall, ToolImage, arguments_text, readable_arguments
from shared.wire.usage import NOTHING_TOLD, TokenUsage


def blocks_of(message: dict[str, Any]) -> list[dict[str, Any]]:
    """The content of a message as blocks; a string is one text block, an empty one none."""
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return objects(content)


def text_of(message: dict[str, Any]) -> str:
    """The text of a message, blocks joined; tool results and thinking are not text."""
    return "".join(text(block.get("text")) for block in blocks_of(message) if block.get("type") == "text")


def tool_calls_of(message: dict[str, Any]) -> list[ToolCall]:
    """The `tool_use` blocks of an assistant message or of a complete answer."""
    return [
        ToolCall(text(block.get("id")), text(block.get("name")), arguments_text(block.get("input")))
        for block in blocks_of(message)
        if block.get("type") == "tool_use"
    ]


def tool_name(tool: dict[str, Any]) -> str:
    """The name of an offered tool, server tools included."""
    return text(tool.get("name"))


def function_tool(name: str, description: str, input_schema: dict[str, Any]) -> dict[str, Any]:
    """A tool to offer."""
    return {"name": name, "description": description, "input_schema": input_schema}


def tool_result(
    call_id: str, content: str, *, is_error: bool = False, images: Sequence[ToolImage] = ()
) -> dict[str, Any]:
    """The block that answers one call, pictures behind the text."""
    block: dict[str, Any] = {"type": "tool_result", "tool_use_id": call_id, "content": content}
    if images:
        said = [{"type": "text", "text": content}] if content else []
        block["content"] = [*said, *(_image(image) for image in images)]
    if is_error:
        block["is_error"] = True
    return block


def _image(image: ToolImage) -> dict[str, Any]:
    return {"type": "image", "source": {"type": "base64", "media_type": image.media_type, "data": image.data}}


def tool_results_message(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The user message that answers all calls of a turn."""
    return {"role": "user", "content": list(results)}


class _Block:
    """A content block while its deltas come in."""

    def __init__(self, start: dict[str, Any]) -> None:
        self.start = start
        self.pieces: dict[str, list[str]] = {}
        self.citations: list[Any] = []
        self.signature: str | None = None

    def take(self, delta: dict[str, Any]) -> None:
        kind = delta.get("type")
        for delta_type, key in (
            ("text_delta", "text"),
            ("thinking_delta", "thinking"),
            ("input_json_delta", "partial_json"),
        ):
            if kind == delta_type and isinstance(piece := delta.get(key), str):
                self.pieces.setdefault(key, []).append(piece)
        if kind == "signature_delta" and isinstance(delta.get("signature"), str):
            self.signature = delta["signature"]
        elif kind == "citations_delta":
            self.citations.append(delta.get("citation"))

    def told(self) -> dict[str, Any]:
        block = dict(self.start)
        for key in ("text", "thinking"):
            if key in self.pieces:
                block[key] = text(block.get(key)) + "".join(self.pieces[key])
        if self.signature is not None:
            block["signature"] = self.signature
        if self.citations:
            block["citations"] = [*objects(block.get("citations")), *self.citations]
        if "input" in block or "partial_json" in self.pieces or block.get("type") == "tool_use":
            block["input"] = self._input(block.get("input"))
        return block

    def _input(self, whole: Any) -> Any:
        """The input from its fragments, or whole from the block's start; what is not an object is kept as text."""
        given = "".join(self.pieces.get("partial_json", ()))
        if not given.strip():
            return whole if whole is not None else {}
        return readable_arguments(given)


class AnthropicAccumulator:
    """Adds up the events of a stream to the message that would have come without streaming."""

    def __init__(self) -> None:
        self.usage: TokenUsage = NOTHING_TOLD
        self.stop_reason: str | None = None
        self._message: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self._end: dict[str, Any] = {"stop_reason": None, "stop_sequence": None}
        self._blocks: dict[int, _Block] = {}

    def feed(self, event: dict[str, Any]) -> None:
        """Takes one event's data; unknown events are passed over."""
        kind = event.get("type")
        if kind == "message_start" and isinstance(message := event.get("message"), dict):
            self._message = message
            self._take_usage(message.get("usage"))
            self._blocks = {index: _Block(start) for index, start in enumerate(blocks_of(message))}
        elif kind == "content_block_start" and isinstance(block := event.get("content_block"), dict):
            self._blocks[self._index(event, len(self._blocks))] = _Block(block)
        elif kind == "content_block_delta" and isinstance(delta := event.get("delta"), dict):
            self._take_delta(event, delta)
        elif kind == "message_delta":
            self._take_usage(event.get("usage"))
            self._take_end(event)

    @property
    def message(self) -> dict[str, Any]:
        """The assistant's turn so far, as it goes into a conversation."""
        return {"role": "assistant", "content": self._content()}

    def answer(self) -> dict[str, Any]:
        """The complete message."""
        head = {"id": "", "type": "message", "role": "assistant", "model": ""}
        return {**head, **self._message, "content": self._content(), **self._end, "usage": self._usage}

    def _content(self) -> list[dict[str, Any]]:
        return [block.told() for _, block in sorted(self._blocks.items())]

    @staticmethod
    def _index(event: dict[str, Any], otherwise: int) -> int:
        index = event.get("index")
        return index if isinstance(index, int) else otherwise

    def _take_delta(self, event: dict[str, Any], delta: dict[str, Any]) -> None:
        index = self._index(event, max(self._blocks, default=0))
        if index not in self._blocks:
            # The start was lost: its type can be told from the delta.
            kind = {"thinking_delta": "thinking", "input_json_delta": "tool_use"}.get(str(delta.get("type")), "text")
            self._blocks[index] = _Block({"type": kind})
        self._blocks[index].take(delta)

    def _take_usage(self, usage: Any) -> None:
        if not isinstance(usage, dict):
            return
        self.usage = self.usage.merge(TokenUsage.from_anthropic(usage))
        told = {key: value for key, value in usage.items() if value is not None}
        if not told.get("input_tokens"):
            told.pop("input_tokens", None)
        self._usage = {**self._usage, **told}

    def _take_end(self, event: dict[str, Any]) -> None:
        delta = event.get("delta")
        if isinstance(delta, dict) and delta.get("stop_reason"):
            self._end = {**self._end, **delta}
            self.stop_reason = str(delta["stop_reason"])
        if "tollway" in event:
            self._end["tollway"] = event["tollway"]


__all__ = [
    "AnthropicAccumulator",
    "ToolCall",
    "blocks_of",
    "function_tool",
    "text_of",
    "tool_calls_of",
    "tool_name",
    "tool_result",
    "tool_results_message",
]
