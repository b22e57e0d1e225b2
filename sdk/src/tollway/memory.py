"""What an agent remembers of a conversation, in the shape models take it."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from tollway.tools.call import ToolCall

Message: TypeAlias = dict[str, Any]


class MemoryManager:
    """The messages of one session. Beyond `max_messages` the oldest whole exchanges are forgotten."""

    def __init__(self, max_messages: int | None = 200) -> None:
        self.max_messages = max_messages
        self._messages: list[Message] = []

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def messages(self) -> list[Message]:
        """A copy of everything remembered."""
        return [dict(message) for message in self._messages]

    def add_user(self, content: Any) -> None:
        self.add_message({"role": "user", "content": content})

    def add_system(self, content: Any) -> None:
        self.add_message({"role": "system", "content": content})

    def add_assistant(self, answer: Any) -> None:
        """Remembers an answer: its text, a message, or a whole answer (ours or an SDK's) with its tool calls."""
        if isinstance(answer, Mapping):
            self.add_message({"role": "assistant", **answer})
            return
        if isinstance(answer, str) or answer is None:
            self.add_message({"role": "assistant", "content": answer or ""})
            return
        text = getattr(answer, "response", None) or getattr(answer, "content", None) or ""
        message: Message = {"role": "assistant", "content": text}
        if calls := getattr(answer, "tool_calls", None):
            message["tool_calls"] = [ToolCall.read(call).as_message() for call in calls]
            message["content"] = text or None
        self.add_message(message)

    def add_tool_result(
        self,
        result: Any = None,
        *,
        tool_call_id: str | None = None,
        name: str | None = None,
        content: str | None = None,
    ) -> None:
        """Remembers one result of `ToolExecutor`, several, or one given in parts."""
        if result is None:
            parts = {"tool_call_id": tool_call_id or "", "name": name, "content": content or ""}
            self.add_message({"role": "tool", **{key: part for key, part in parts.items() if part is not None}})
        elif isinstance(result, Mapping):
            self.add_message({"role": "tool", **result})
        elif isinstance(result, Iterable):
            for each in result:
                self.add_tool_result(each)
        else:
            self.add_message(result.as_message())

    def add_message(self, message: Any) -> None:
        """Remembers a message as it is: a dictionary, or one of a request's `messages`."""
        dump = getattr(message, "model_dump", None)
        self._messages.append(dump(exclude_none=True) if callable(dump) else dict(message))
        self._forget_oldest()

    def build_history(self, max_messages: int | None = None) -> list[Message]:
        """The messages to send to a model; system messages first, the newest exchanges when cut."""
        messages = self.messages
        if max_messages is None:
            return messages
        system = [message for message in messages if message["role"] == "system"]
        spoken = [message for message in messages if message["role"] != "system"]
        return system + _from_a_question(spoken, max(len(spoken) - max_messages, 0))

    def clear(self) -> None:
        self._messages.clear()

    def _forget_oldest(self) -> None:
        if self.max_messages is None or len(self._messages) <= self.max_messages:
            return
        self._messages = self.build_history(self.max_messages)


def _from_a_question(messages: list[Message], start: int) -> list[Message]:
    # a tool result without its call, or an answer without its question, is refused by providers
    questions = [place for place, message in enumerate(messages) if message["role"] == "user"]
    later = [place for place in questions if place >= start]
    if start and (later or questions):
        start = later[0] if later else questions[-1]
    return messages[start:]
