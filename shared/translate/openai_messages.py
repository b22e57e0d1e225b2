"""An Anthropic conversation as chat messages."""

import re
from typing import Any, Final

from shared.translate.anthropic_messages import original_id
from shared.translate.caching import cache_breakpoint
from shared.translate.media import document_parts, image_part
from shared.translate.terms import CannotTranslate, Losses, RequestOptions, wanted_objects, wanted_text
from shared.wire.anthropic import blocks_of
from shared.wire.json_text import encode_text
from shared.wire.lenient import text

Parts = list[dict[str, Any]]

# Claude Code's first system block changes with every request: other providers' prompt caches would never hit.
_ATTRIBUTION = re.compile(r"^x-anthropic-billing-header:[^\n]*\n?", re.MULTILINE)
_ERROR_MARK = "[tool error] "
# The members of blocks that are carried, or named where they are looked at.
_CARRIED: Final = {
    "text": ("text",),
    "image": ("source",),
    "document": ("source", "title", "context", "citations"),
    "search_result": ("title", "source", "content"),
    "tool_use": ("id", "name", "input", "caller"),
    "tool_result": ("tool_use_id", "content", "is_error"),
}
_DIRECT: Final = {"type": "direct"}
_MEDIA_NOTE = "[the tool returned {kind}, which follows in the next user message]"


def to_openai_messages(system: Any, messages: Any, options: RequestOptions, losses: Losses) -> Parts:
    """The system prompt and the messages in one list."""
    if not isinstance(messages, list) or not messages:
        raise CannotTranslate("messages", "must be a list of at least one message")
    writer = _Writer(options, losses)
    writer.take_system(system, "system")
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if not isinstance(message, dict):
            raise CannotTranslate(where, "must be an object")
        content = message.get("content")
        if not isinstance(content, str | list):
            raise CannotTranslate(f"{where}.content", "must be a string or a list of blocks")
        losses.add_unless(message, ("role", "content"), "messages")
        role = message.get("role")
        if role == "user":
            writer.take_user(message, where)
        elif role == "assistant":
            writer.take_assistant(message)
        elif role == "system":
            writer.take_system(content, where)
        else:
            raise CannotTranslate(f"{where}.role", f"{role!r} is not a role")
    return writer.told()


class _Writer:
    def __init__(self, options: RequestOptions, losses: Losses) -> None:
        self._options = options
        self._losses = losses
        self._front: list[str] = []
        self._front_marks: dict[str, Any] = {}
        self._messages: Parts = []

    def told(self) -> Parts:
        """The messages, instructions first."""
        instructions = "\n\n".join(self._front)
        if not instructions:
            return self._messages
        content: Any = instructions
        if self._front_marks:
            content = [{"type": "text", "text": instructions, **self._front_marks}]
        return [{"role": "system", "content": content}, *self._messages]

    def take_system(self, system: Any, where: str) -> None:
        """Instructions; given late, they stay there only where the provider's chat template allows it."""
        if system is None:
            return
        if not isinstance(system, str):
            wanted_objects(system, where)
        blocks = blocks_of({"content": system})
        for block in blocks:
            self._name_rest(block)
            self._front_marks |= cache_breakpoint(block, self._options, self._losses)
        texts = [_ATTRIBUTION.sub("", wanted_text(block.get("text"), f"{where}.text")) for block in blocks]
        texts = [text for text in texts if text]
        if self._messages and self._options.takes_late_system:
            if texts:
                self._messages.append({"role": "system", "content": "\n\n".join(texts)})
            return
        if self._messages and texts:
            self._losses.add("messages.system")
        self._front.extend(texts)

    def take_user(self, message: dict[str, Any], where: str) -> None:
        """Tool results as messages of their own, directly after the calls; then what else the user says."""
        content = message["content"]
        if isinstance(content, str):
            self._messages.append({"role": "user", "content": content})
            return
        parts: Parts = []
        for index, block in enumerate(blocks_of(message)):
            here = f"{where}.content[{index}]"
            if block.get("type") == "tool_result":
                parts.extend(self._take_result(block, here))
        for index, block in enumerate(blocks_of(message)):
            if block.get("type") != "tool_result":
                parts.extend(self._user_parts(block, f"{where}.content[{index}]"))
        if parts:
            self._messages.append({"role": "user", "content": _simplest(parts)})

    def _take_result(self, block: dict[str, Any], where: str) -> Parts:
        """Writes the tool message; returns the media that have to follow in a user's turn."""
        texts: list[str] = []
        media: Parts = []
        self._name_rest(block)
        if block.get("cache_control"):
            self._losses.add("cache_control")
        content = block.get("content")
        for item in blocks_of({"content": content}):
            kind = item.get("type")
            if kind in ("image", "document"):
                made = self._user_parts(item, where)
                shown = [part for part in made if part["type"] != "text"]
                texts += [part["text"] for part in made if part["type"] == "text"]
                texts += [_MEDIA_NOTE.format(kind=f"an {kind}" if kind == "image" else f"a {kind}")] * len(shown)
                media += shown
            else:
                texts += [part["text"] for part in self._user_parts(item, where)]
        said = "\n".join(texts)
        if block.get("is_error") is True:
            self._losses.add("tool_result.is_error")
            said = _ERROR_MARK + said
        self._messages.append(
            {"role": "tool", "tool_call_id": original_id(text(block.get("tool_use_id"))), "content": said}
        )
        return media

    def _user_parts(self, block: dict[str, Any], where: str) -> Parts:
        kind = block.get("type")
        self._name_rest(block)
        if kind == "text":
            said = wanted_text(block.get("text"), f"{where}.text")
            if not said:
                return []
            parts: Parts = [{"type": "text", "text": said}]
        elif kind == "image":
            parts = [image_part(block, where)]
        elif kind == "document":
            parts = document_parts(block, where, self._losses)
        elif kind == "search_result":
            texts = [wanted_text(item.get("text"), f"{where}.content") for item in blocks_of(block)]
            heading = f"{block.get('title') or ''} ({block.get('source') or ''})"
            parts = [{"type": "text", "text": "\n".join([heading, *texts])}]
        else:
            self._losses.add(f"content.{kind}")
            return []
        if parts:
            parts[-1] = {**parts[-1], **cache_breakpoint(block, self._options, self._losses)}
        return parts

    def take_assistant(self, message: dict[str, Any]) -> None:
        """One assistant message: text, calls, and thoughts where the provider takes them."""
        texts: list[str] = []
        calls: Parts = []
        thoughts: Parts = []
        for block in blocks_of(message):
            kind = block.get("type")
            self._name_rest(block)
            if kind == "text":
                texts.append(text(block.get("text")))
            elif kind == "tool_use":
                arguments = encode_text(block.get("input") or {})
                function = {"name": block.get("name"), "arguments": arguments}
                calls.append({"id": original_id(text(block.get("id"))), "type": "function", "function": function})
            elif kind in ("thinking", "redacted_thinking"):
                thoughts.append(block)
            else:
                self._losses.add(f"content.{kind}")
            if block.get("cache_control"):
                self._losses.add("cache_control")
        said = "".join(texts)
        told: dict[str, Any] = {"role": "assistant", "content": said or (None if calls else "")}
        self._tell_thoughts(thoughts, told)
        if calls:
            told["tool_calls"] = calls
        if said or calls or len(told) > 2:
            self._messages.append(told)

    def _name_rest(self, block: dict[str, Any]) -> None:
        """Names the members of a block that stay behind; a block of another kind is named as a whole."""
        carried = _CARRIED.get(text(block.get("type")))
        if carried is not None:
            self._losses.add_unless(block, (*carried, "type", "cache_control"), "content")
        if block.get("caller") not in (None, _DIRECT):
            self._losses.add("content.caller")

    def _tell_thoughts(self, thoughts: Parts, told: dict[str, Any]) -> None:
        if not thoughts:
            return
        reasoning = "".join(text(thought.get("thinking")) for thought in thoughts)
        if reasoning and (self._options.takes_reasoning_content or self._options.takes_thinking_blocks):
            told["reasoning_content"] = reasoning
        if self._options.takes_thinking_blocks:
            told["thinking_blocks"] = thoughts
        else:
            self._losses.add("thinking.signature" if "reasoning_content" in told else "thinking")


def _simplest(parts: Parts) -> Any:
    """A lone text as a plain string, which every provider takes."""
    if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
        return parts[0]["text"]
    return parts
