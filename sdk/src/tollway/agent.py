"""The base of agents: a model, a memory and a stream; published by `tollway.server.publish_agent_api`."""

import copy
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

from tollway.clone import clone
from tollway.memory import MemoryManager


class Sink(Protocol):
    """Where a stream's contents go."""

    async def send_data(self, content_type: str, content: str) -> None: ...

    async def stop(self, stop_reason: str = "stop") -> None: ...


@dataclass(frozen=True, slots=True)
class Part:
    """Something an agent said, and of which type."""

    content_type: str
    content: str


class Stream:
    """What an agent answers through. Without a request behind it, it keeps the parts: handy in tests."""

    def __init__(self, sink: Sink | None = None) -> None:
        self._sink = sink
        self.parts: list[Part] = []
        self.stop_reason: str | None = None

    async def send(self, content_type: str, content: str | None) -> None:
        """Sends a piece of content; empty pieces are not worth a frame."""
        if not content:
            return
        if self._sink is not None:
            await self._sink.send_data(content_type, content)
        else:
            self.parts.append(Part(content_type, content))

    async def stop(self, stop_reason: str = "stop") -> None:
        """Ends the answer."""
        self.stop_reason = stop_reason
        if self._sink is not None:
            await self._sink.stop(stop_reason)


class BaseAgent:
    """An agent has `llm`, `memory` (of the session) and `stream` (of the request).

    Every request works on its own deep copy of the published agent, so that nothing it sets is seen by another.
    What cannot be copied (locks, connections) and everything named in `shared` is shared instead.
    """

    default_memory_cls: ClassVar[type[Any]] = MemoryManager
    shared: ClassVar[frozenset[str]] = frozenset({"llm"})

    def __init__(self, llm: Any = None, memory: Any = None) -> None:
        self.llm = llm
        self.memory = memory if memory is not None else self.default_memory_cls()
        self.stream = Stream()

    def for_request(self, memory: Any, stream: Stream) -> Self:
        """A copy of this agent with a session's memory and a request's stream."""
        own = copy.copy(self)
        memo: dict[int, Any] = {id(self): own}
        replaced = {"memory", "stream"}
        for name, value in vars(self).items():
            if name not in replaced and name not in type(self).shared:
                setattr(own, name, clone(value, memo))
        own.memory = memory
        own.stream = stream
        return own
