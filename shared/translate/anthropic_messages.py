"""Chat messages as an Anthropic conversation: system blocks, and turns of content blocks."""

import re
from typing import Any

from shared.translate.caching import cache_control
from shared.translate.media import document_block, image_block
from shared.translate.terms import CannotTranslate, Losses, RequestOptions, wanted_objects, wanted_text
from shared.wire.lenient import objects
from shared.wire.tool_call import arguments_object

# The members of messages that are carried, or named where they are looked at.
_CARRIED = (
    *("role", "content", "refusal", "tool_calls", "function_call", "tool_call_id", "is_error"),
    *("thinking_blocks", "reasoning_content", "reasoning", "cache_control", "prompt_cache_breakpoint"),
)
_FUNCTION = (*_CARRIED, "name")

Blocks = list[dict[str, Any]]

_FOREIGN = re.compile(r"[^a-zA-Z0-9_-]")
_SPELLED = re.compile(r"_x([0-9a-f]{2,5})_")


def to_anthropic_messages(
    messages: Any, options: RequestOptions, losses: Losses, *, is_request: bool = True
) -> tuple[Blocks, Blocks]:
    """The system blocks and the messages; those of a request have at least one turn to answer."""
    if not isinstance(messages, list) or not messages:
        raise CannotTranslate("messages", "must be a list of at least one message")
    conversation = _Conversation(options, losses)
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            raise CannotTranslate(f"messages[{index}]", "must be an object")
        conversation.take(message, f"messages[{index}]")
    return conversation.told(is_request=is_request)


def anthropic_id(call_id: str) -> str:
    """A tool call's id in Anthropic's alphabet; ids that fit stay, and no two become the same."""
    return _FOREIGN.sub(lambda match: f"_x{ord(match[0]):x}_", call_id)


def original_id(call_id: str) -> str:
    """The id that `anthropic_id` was given."""
    return _SPELLED.sub(lambda match: chr(int(match[1], 16)), call_id)


class _Conversation:
    """Takes chat messages in order and builds the turns."""

    def __init__(self, options: RequestOptions, losses: Losses) -> None:
        self._options = options
        self._losses = losses
        self._system: Blocks = []
        self._messages: Blocks = []
        self._late_system: Blocks = []
        self._legacy_calls = 0

    def told(self, *, is_request: bool) -> tuple[Blocks, Blocks]:
        """The system blocks and the messages."""
        self._place_late_system()
        if is_request and not self._messages and self._system:
            # Anthropic wants a turn to answer; a lone instruction is what the caller asks.
            self._losses.add("messages.system")
            self._messages = [{"role": "user", "content": self._system}]
            self._system = []
        if is_request and not self._messages:
            raise CannotTranslate("messages", "no message has any content")
        return self._system, self._messages

    def take(self, message: dict[str, Any], where: str) -> None:
        """Adds one message."""
        role = message.get("role")
        self._losses.add_unless(message, _FUNCTION if role == "function" else _CARRIED, "messages")
        if role in ("system", "developer"):
            self._take_system(message, where)
        elif role == "user":
            self._take_user(message, where)
        elif role == "assistant":
            self._take_assistant(message, where)
        elif role in ("tool", "function"):
            self._take_result(message, where)
        else:
            raise CannotTranslate(f"{where}.role", f"{role!r} is not a role")

    def _take_system(self, message: dict[str, Any], where: str) -> None:
        blocks = self._text_blocks(message.get("content"), f"{where}.content")
        if not self._messages:
            self._system.extend(blocks)
        else:
            self._late_system.extend(blocks)

    def _place_late_system(self, *, before_user: bool = False) -> None:
        """Puts instructions given later where the model may read them: a turn of their own or inside the user's.

        Anthropic takes a system turn only after a user's and before an assistant's, or last.
        """
        blocks, self._late_system = self._late_system, []
        if not blocks:
            return
        if self._options.takes_system_anywhere and not before_user and self._messages[-1]["role"] == "user":
            self._messages.append({"role": "system", "content": blocks})
            return
        self._losses.add("messages.system")
        marked = [{**block, "text": f"<system>\n{block['text']}\n</system>"} for block in blocks]
        if self._messages[-1]["role"] == "user":
            self._messages[-1]["content"].extend(marked)
        else:
            self._messages.append({"role": "user", "content": marked})

    def _take_user(self, message: dict[str, Any], where: str) -> None:
        blocks = self._content_blocks(message.get("content"), f"{where}.content")
        follows_results = bool(self._messages) and _ends_in_results(self._messages[-1])
        self._place_late_system(before_user=True)
        if not blocks:
            return
        if follows_results and self._messages[-1]["role"] == "user":
            self._messages[-1]["content"].extend(blocks)
        else:
            self._messages.append({"role": "user", "content": blocks})

    def _take_assistant(self, message: dict[str, Any], where: str) -> None:
        self._place_late_system()
        blocks = self._thinking_blocks(message)
        blocks += self._text_blocks(message.get("content"), f"{where}.content")
        if isinstance(refusal := message.get("refusal"), str) and refusal and not message.get("content"):
            blocks.append({"type": "text", "text": refusal})
        for index, call in enumerate(wanted_objects(message.get("tool_calls"), f"{where}.tool_calls")):
            blocks.append(self._call_block(call, f"{where}.tool_calls[{index}]"))
        if isinstance(function := message.get("function_call"), dict):
            self._legacy_calls += 1
            blocks.append(
                self._use(f"call_legacy_{self._legacy_calls}", function, "arguments", f"{where}.function_call")
            )
        if blocks:
            self._messages.append({"role": "assistant", "content": blocks})

    def _thinking_blocks(self, message: dict[str, Any]) -> Blocks:
        """Thoughts with their signatures, byte for byte; without one Anthropic would refuse them."""
        blocks: Blocks = []
        for block in objects(message.get("thinking_blocks")):
            if block.get("type") == "redacted_thinking" or block.get("signature"):
                blocks.append({key: value for key, value in block.items() if key != "index"})
            else:
                self._losses.add("messages.thinking_blocks")
        if not blocks and (message.get("reasoning_content") or message.get("reasoning")):
            self._losses.add("messages.reasoning_content")
        return blocks

    def _call_block(self, call: Any, where: str) -> dict[str, Any]:
        call_id = call.get("id")
        if not isinstance(call_id, str) or not call_id:
            raise CannotTranslate(f"{where}.id", "a tool call needs an id")
        if isinstance(custom := call.get("custom"), dict):
            given = wanted_text(custom.get("input"), f"{where}.custom.input")
            return self._use(call_id, {**custom, "input": {"input": given}}, "input", where)
        function = call.get("function")
        if not isinstance(function, dict):
            raise CannotTranslate(f"{where}.function", "must be an object")
        return self._use(call_id, function, "arguments", f"{where}.function")

    def _use(self, call_id: str, function: dict[str, Any], key: str, where: str) -> dict[str, Any]:
        name = function.get("name")
        if not isinstance(name, str) or not name:
            raise CannotTranslate(f"{where}.name", "a tool call names its tool")
        arguments = arguments_object(function.get(key))
        if arguments is None:
            if not self._options.wraps_invalid_arguments:
                raise CannotTranslate(
                    f"{where}.{key}", f"the call {call_id!r} has arguments that are not a JSON object"
                )
            self._losses.add("messages.tool_calls.arguments")
            arguments = {"_raw": function.get(key)}
        return {"type": "tool_use", "id": anthropic_id(call_id), "name": name, "input": arguments}

    def _take_result(self, message: dict[str, Any], where: str) -> None:
        call_id = message.get("tool_call_id")
        if message.get("role") == "function":
            call_id = f"call_legacy_{self._legacy_calls}"
        if not isinstance(call_id, str) or not call_id:
            raise CannotTranslate(f"{where}.tool_call_id", "a tool message names the call it answers")
        block: dict[str, Any] = {"type": "tool_result", "tool_use_id": anthropic_id(call_id)}
        content = message.get("content")
        if isinstance(content, str):
            if content:
                block["content"] = content
        elif blocks := self._content_blocks(content, f"{where}.content"):
            block["content"] = blocks
        if message.get("is_error") is True:
            block["is_error"] = True
        if mark := cache_control(message, self._losses):
            block["cache_control"] = mark
        if self._messages and _ends_in_results(self._messages[-1]):
            self._messages[-1]["content"].append(block)
        else:
            self._messages.append({"role": "user", "content": [block]})

    def _text_blocks(self, content: Any, where: str) -> Blocks:
        """Text parts as blocks; Anthropic refuses empty ones."""
        if content is None or isinstance(content, str):
            return [{"type": "text", "text": content}] if content else []
        if not isinstance(content, list):
            raise CannotTranslate(where, "must be a string or a list of parts")
        blocks: Blocks = []
        for index, part in enumerate(content):
            kind = part.get("type", "text") if isinstance(part, dict) else None
            if kind not in ("text", "refusal"):
                raise CannotTranslate(f"{where}[{index}]", f"parts of type {kind} are not allowed here")
            if text := wanted_text(part.get("text") or part.get("refusal"), f"{where}[{index}].text"):
                blocks.append(self._marked({"type": "text", "text": text}, part))
        return blocks

    def _content_blocks(self, content: Any, where: str) -> Blocks:
        if not isinstance(content, list):
            return self._text_blocks(content, where)
        blocks: Blocks = []
        for index, part in enumerate(content):
            here = f"{where}[{index}]"
            kind = part.get("type") if isinstance(part, dict) else None
            if kind == "image_url":
                blocks.append(self._marked(image_block(part, here, self._losses), part))
            elif kind == "file":
                blocks.append(self._marked(document_block(part, here), part))
            elif kind == "input_audio":
                raise CannotTranslate(here, "audio cannot be sent to this model's provider")
            else:
                blocks.extend(self._text_blocks([part], where))
        return blocks

    def _marked(self, block: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
        mark = cache_control(part, self._losses)
        return block if mark is None else {**block, "cache_control": mark}


def _ends_in_results(message: dict[str, Any]) -> bool:
    content = message["content"]
    return message["role"] == "user" and bool(content) and content[-1].get("type") == "tool_result"
