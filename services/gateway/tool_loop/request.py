"""A request as the tool loop sends it on, round after round: our tools beside the client's, turns appended.

What the client wrote stays byte for byte; only members that must change are spliced.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from services.gateway.tool_loop.dialect import ToolDialect
from shared.errors import BadRequest
from shared.messages.gateway import Call
from shared.messages.tools import ToolSpec
from shared.wire.json_text import decode_exactly, encode
from shared.wire.splice import Members

_WITHOUT_TOOLS = ("tools", "tool_choice", "parallel_tool_calls", "functions", "function_call")

_UNSEEN = {"type": "text", "text": "[an image was here; the model's provider did not accept it]"}


class Conversation:
    """The request and what the rounds have added to it."""

    def __init__(self, call: Call, dialect: ToolDialect, tools: Sequence[ToolSpec]) -> None:
        self._members = Members(call.body)
        self._dialect = dialect
        self._client_tools = _items(self._members.raw("tools"))
        self.client_names = frozenset(_names(self._client_tools, dialect))
        self.offered = {tool.name: tool for tool in tools if tool.name not in self.client_names}
        self._messages = (self._members.raw("messages") or b"[]").strip()[1:-1].strip()
        self.added: list[dict[str, Any]] = []
        self._free_choice = False
        if call.dialect == "openai" and self._members.raw("n") not in (None, b"1", b"null"):
            raise BadRequest("'n' must be 1 with tools that run on the server.", param="n")

    def offer(self, tool: ToolSpec) -> None:
        """Offer one more tool from the next round on."""
        if tool.name not in self.client_names:
            self.offered[tool.name] = tool

    def append(self, *messages: dict[str, Any]) -> None:
        """A turn of the model, and what its tools answered. From now on no tool is forced upon the model."""
        self.added += messages
        self._free_choice = True

    def hide_images(self) -> bool:
        """Put words where the pictures of our tools' results were; False when there are none."""
        hidden = [_without_images(message) for message in self.added]
        changed = hidden != self.added
        self.added = hidden
        return changed

    def body(self, *, with_tools: bool = True) -> bytes:
        """The body for the next round."""
        replaced: dict[str, bytes] = {}
        removed: list[str] = []
        if self.added:
            items = [self._messages, *(encode(message) for message in self.added)]
            replaced["messages"] = b"[" + b",".join(item for item in items if item) + b"]"
        if not with_tools:
            removed += _WITHOUT_TOOLS
        else:
            ours = [encode(self._dialect.offer(tool)) for tool in self.offered.values()]
            replaced["tools"] = b"[" + b",".join([*self._client_tools, *ours]) + b"]"
            if self._free_choice and (choice := self._freed_choice()) is not None:
                replaced["tool_choice"] = encode(choice)
        return self._members.spliced(replaced, removed)

    def body_forbidding_tools(self) -> bytes:
        """The body for a last round, for providers that want the tools named as long as the history has calls."""
        none: Any = "none" if self._dialect.name == "openai" else {"type": "none"}
        return Members(self.body()).spliced({"tool_choice": encode(none)})

    def _freed_choice(self) -> Any:
        """The client's choice without the force, which would make the model call tools for ever; None to leave it."""
        choice: Any = msgspec.json.decode(self._members.raw("tool_choice") or b"null")
        kind = choice.get("type") if isinstance(choice, dict) else choice
        if kind in (None, "auto", "none"):
            return None
        if self._dialect.name == "anthropic":
            return {"type": "auto", **{key: choice[key] for key in choice if key == "disable_parallel_tool_use"}}
        if kind == "allowed_tools" and isinstance(allowed := choice.get(kind), dict):
            return {**choice, kind: {**allowed, "mode": "auto"}}
        return "auto"


def _without_images(message: dict[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    if message.get("role") == "assistant" or not isinstance(content, list):
        return message
    return {**message, "content": [_UNSEEN if _is_image(part) else _without_images(part) for part in content]}


def _is_image(part: dict[str, Any]) -> bool:
    return part.get("type") in ("image", "image_url")


def _items(raw: bytes | None) -> list[bytes]:
    if raw is None or not raw.startswith(b"["):
        return []
    return [bytes(item) for item in msgspec.json.decode(raw, type=list[msgspec.Raw])]


def _names(tools: Sequence[bytes], dialect: ToolDialect) -> list[str]:
    found = []
    for raw in tools:
        tool = decode_exactly(raw)
        if isinstance(tool, dict):
            found.append(dialect.name_of(tool))
    return [name for name in found if name]
