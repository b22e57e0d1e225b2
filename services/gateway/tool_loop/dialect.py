"""What differs between the two dialects for the tool loop: how tools are offered, called and answered."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from shared.messages.gateway import Dialect
from shared.messages.tools import ToolSpec
from shared.wire import anthropic, openai
from shared.wire.json_text import encode_text
from shared.wire.tool_call import ToolCall, ToolImage, arguments_object, readable_arguments


@dataclass(frozen=True)
class ToolResult:
    """What one call of the model is answered with."""

    call_id: str
    content: str
    is_error: bool = False
    images: Sequence[ToolImage] = ()


@dataclass
class Turn:
    """One turn of the model: its message as it goes into the history, the calls in it, and how it ended."""

    message: dict[str, Any]
    calls: list[ToolCall]
    finish: str | None
    usage: dict[str, Any] = field(default_factory=dict)
    failed: bool = False


class ToolDialect(Protocol):
    """One of the two."""

    name: Dialect
    ends_with_calls: str
    ends_plainly: str
    cut_short: Collection[str]

    def offer(self, tool: ToolSpec) -> dict[str, Any]: ...
    def name_of(self, tool: dict[str, Any]) -> str: ...
    def calls_of(self, message: dict[str, Any]) -> list[ToolCall]: ...
    def results(self, results: Sequence[ToolResult]) -> list[dict[str, Any]]:
        """The messages that answer a turn's calls, in the calls' order."""

    def repeatable(self, message: dict[str, Any], answered: Collection[str]) -> dict[str, Any]:
        """A turn as providers take it back, whatever the model wrote: nothing empty, arguments that are objects."""

    def seen_by_client(self, turns: Sequence[dict[str, Any]], kept: Collection[str]) -> dict[str, Any]:
        """The one message the client saw of several turns: all that was said, and the calls it has to run itself."""


class OpenAITools:
    """Chat completions."""

    name: Dialect = "openai"
    ends_with_calls = "tool_calls"
    ends_plainly = "stop"
    cut_short: Collection[str] = ("length", "content_filter")

    def offer(self, tool: ToolSpec) -> dict[str, Any]:
        """A function."""
        return openai.function_tool(tool.name, tool.description, tool.input_schema)

    def name_of(self, tool: dict[str, Any]) -> str:
        """The name of an offered function."""
        return openai.tool_name(tool)

    def calls_of(self, message: dict[str, Any]) -> list[ToolCall]:
        """The calls of an assistant message."""
        return openai.tool_calls_of(message)

    def results(self, results: Sequence[ToolResult]) -> list[dict[str, Any]]:
        """One message for each result. In this dialect they are text: pictures follow in a user's message."""
        told = [openai.tool_result(result.call_id, result.content) for result in results]
        shown = {result.call_id: result.images for result in results if result.images}
        return [*told, openai.tool_images_message(shown)] if shown else told

    def repeatable(self, message: dict[str, Any], answered: Collection[str]) -> dict[str, Any]:
        """What was not JSON is put into an object."""
        unreadable = {
            call.id
            for call in self.calls_of(message)
            if call.id in answered and arguments_object(call.arguments) is None
        }
        if not unreadable:
            return message
        calls = [_readable(call) if call.get("id") in unreadable else call for call in message["tool_calls"]]
        return {**message, "tool_calls": calls}

    def seen_by_client(self, turns: Sequence[dict[str, Any]], kept: Collection[str]) -> dict[str, Any]:
        """Texts joined, as they were streamed."""
        seen = {**turns[-1], "content": "".join(openai.text_of(turn) for turn in turns) or None}
        calls = [call for call in turns[-1].get("tool_calls") or () if call.get("id") in kept]
        seen.pop("tool_calls", None)
        if calls:
            seen["tool_calls"] = calls
        elif seen["content"] is None:
            seen["content"] = ""
        return seen


class AnthropicTools:
    """Messages."""

    name: Dialect = "anthropic"
    ends_with_calls = "tool_use"
    ends_plainly = "end_turn"
    cut_short: Collection[str] = ("max_tokens", "model_context_window_exceeded", "refusal")

    def offer(self, tool: ToolSpec) -> dict[str, Any]:
        """A tool with its input schema."""
        return anthropic.function_tool(tool.name, tool.description, tool.input_schema)

    def name_of(self, tool: dict[str, Any]) -> str:
        """The name of an offered tool."""
        return anthropic.tool_name(tool)

    def calls_of(self, message: dict[str, Any]) -> list[ToolCall]:
        """The `tool_use` blocks of a message."""
        return anthropic.tool_calls_of(message)

    def results(self, results: Sequence[ToolResult]) -> list[dict[str, Any]]:
        """All results in one user message, as this dialect wants it."""
        blocks = [
            anthropic.tool_result(result.call_id, result.content, is_error=result.is_error, images=result.images)
            for result in results
        ]
        return [anthropic.tool_results_message(blocks)]

    def repeatable(self, message: dict[str, Any], answered: Collection[str]) -> dict[str, Any]:
        """Input is an object in this dialect, as it was read; texts that say nothing are refused."""
        del answered
        blocks = anthropic.blocks_of(message)
        told = [block for block in blocks if block.get("type") != "text" or str(block.get("text") or "").strip()]
        return message if len(told) == len(blocks) else {**message, "content": told}

    def seen_by_client(self, turns: Sequence[dict[str, Any]], kept: Collection[str]) -> dict[str, Any]:
        """All blocks of all turns, without the calls of server tools."""
        blocks = [block for turn in turns for block in anthropic.blocks_of(turn)]
        shown = [block for block in blocks if block.get("type") != "tool_use" or block.get("id") in kept]
        return {"role": "assistant", "content": shown}


def _readable(call: dict[str, Any]) -> dict[str, Any]:
    function = call["function"]
    return {**call, "function": {**function, "arguments": encode_text(readable_arguments(function["arguments"]))}}


DIALECTS: dict[Dialect, ToolDialect] = {"openai": OpenAITools(), "anthropic": AnthropicTools()}


def summed(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Two usage objects of the same dialect added up, member by member; what only one tells is kept."""
    total = dict(one)
    for name, value in other.items():
        known = total.get(name)
        if isinstance(value, dict):
            total[name] = summed(known if isinstance(known, dict) else {}, value)
        elif _is_number(value) and _is_number(known):
            total[name] = known + value
        elif known is None:
            total[name] = value
    return total


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
