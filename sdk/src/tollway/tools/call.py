"""A model's wish to call a tool, and what came of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call a model asked for; `arguments` is the JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str = "{}"

    def as_message(self) -> dict[str, Any]:
        """As an assistant message carries it."""
        function = {"name": self.name, "arguments": self.arguments}
        return {"id": self.id, "type": "function", "function": function}

    @classmethod
    def read(cls, told: "ToolCall | Mapping[str, Any] | Any") -> "ToolCall":
        """From our own calls, OpenAI's message form, or an OpenAI SDK object."""
        if isinstance(told, ToolCall):
            return told
        function = _member(told, "function") or told
        arguments = _member(function, "arguments")
        if not isinstance(arguments, str):
            arguments = json.dumps(arguments or {}, ensure_ascii=False)
        return cls(str(_member(told, "id") or ""), str(_member(function, "name") or ""), arguments or "{}")


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool said, or why it could not."""

    tool_call_id: str
    name: str
    content: str
    is_error: bool = False

    def as_message(self) -> dict[str, Any]:
        """As the next request carries it."""
        return {"role": "tool", "tool_call_id": self.tool_call_id, "name": self.name, "content": self.content}


def as_text(value: object) -> str:
    """A tool's return value as the model reads it."""
    if isinstance(value, str):
        return value
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        value = dump(mode="json")
    return json.dumps(value, ensure_ascii=False, default=str)


def _member(thing: Any, name: str) -> Any:
    return thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)
