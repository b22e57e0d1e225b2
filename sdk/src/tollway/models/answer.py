"""A model's answer while it arrives: iterate it for its pieces, then read the whole."""

import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from tollway.errors import ServerUnreachableError, server_error
from tollway.tools.call import ToolCall


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of an answer."""

    content: str = ""
    thinking: str = ""
    finish_reason: str | None = None


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: str = ""


class ModelAnswer:
    """An answer made of streamed events.

    `async for chunk in answer` gives the pieces as they come; afterwards (or after `await answer.read()`) `response`,
    `thinking`, `tool_calls`, `finish_reason` and `usage` hold the whole. `aclose()` stops the model.
    """

    def __init__(
        self, events: AsyncIterator[Mapping[str, Any]], close: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self._events = events
        self._close = close
        self._replay: deque[Chunk] = deque()
        self._text: list[str] = []
        self._thoughts: list[str] = []
        self._calls: dict[int, _Call] = {}
        self.model: str | None = None
        self.id: str | None = None
        self.usage: dict[str, Any] | None = None
        self.finish_reason: str | None = None
        self.done = False

    @property
    def response(self) -> str:
        """The text that has arrived."""
        return "".join(self._text)

    @property
    def thinking(self) -> str:
        """The reasoning that has arrived, where a model shows it."""
        return "".join(self._thoughts)

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The tools the model wants called."""
        return [ToolCall(call.id, call.name, call.arguments or "{}") for _, call in sorted(self._calls.items())]

    @property
    def has_tool_calls(self) -> bool:
        return bool(self._calls)

    async def read(self) -> Self:
        """Waits for the whole answer; its pieces can still be iterated afterwards."""
        self._replay = deque([chunk async for chunk in self])
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk:
        if self._replay:
            return self._replay.popleft()
        while not self.done:
            try:
                event = await anext(self._events)
            except StopAsyncIteration:
                self.done = True
                self._check_end()
                break
            chunk = self._take(event)
            if chunk is not None:
                return chunk
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Stops reading, which stops the model."""
        self.done = True
        # closing an iterator that was never started runs none of its code, so the connection is closed here
        if self._close is not None:
            await self._close()

    def _check_end(self) -> None:
        if self.finish_reason is None:
            raise ServerUnreachableError("the answer broke off before its end")

    def _take(self, event: Mapping[str, Any]) -> Chunk | None:
        if event.get("error"):
            raise server_error(502, json.dumps(event).encode())
        self.model = event.get("model") or self.model
        self.id = event.get("id") or self.id
        self.usage = event.get("usage") or self.usage
        choices = event.get("choices") or []
        if not choices:
            return None
        choice = choices[0]
        delta = choice.get("delta") or choice.get("message") or {}
        self.finish_reason = choice.get("finish_reason") or self.finish_reason
        content = delta.get("content") or ""
        thinking = delta.get("reasoning_content") or delta.get("reasoning") or ""
        for part in delta.get("tool_calls") or []:
            self._take_call(part)
        self._text.append(content)
        self._thoughts.append(thinking)
        if not content and not thinking:
            return None
        return Chunk(content, thinking, choice.get("finish_reason"))

    def _take_call(self, part: Mapping[str, Any]) -> None:
        call = self._calls.setdefault(part.get("index", len(self._calls)), _Call())
        function = part.get("function") or {}
        call.id = part.get("id") or call.id
        # some providers repeat the name with every fragment
        call.name = call.name or function.get("name") or ""
        call.arguments += function.get("arguments") or ""
