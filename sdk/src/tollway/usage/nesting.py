"""Tracked calls inside tracked calls: what an inner one books, the ones around it do not book again."""

from collections import deque
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Optional

from tollway.usage.labels import within
from tollway.usage.tokens import field

MOST_REMEMBERED = 256

_around: ContextVar[Optional["Inside"]] = ContextVar("tollway_tracked_call", default=None)


class Inside:
    """What happened in one tracked call's own inner calls."""

    def __init__(self) -> None:
        self.outer = _around.get()
        self.has_calls = False
        self.error: BaseException | None = None
        self._taken: deque[object] = deque(maxlen=MOST_REMEMBERED)
        if self.outer is not None:
            self.outer.has_calls = True

    def entered(self) -> AbstractContextManager[None]:
        """Surrounds the tracked code, so that calls in it know where they are made."""
        return within(_around, self)

    def claim(self, answer: object, usage: object) -> bool:
        """Whether this usage is for the call itself to book; if so, the calls around it leave it alone."""
        # a helper's final message is another object than its events, but has their id
        known = field(answer, "id")
        if any(usage is taken or (known is not None and known == taken) for taken in self._taken):
            return False
        if self.outer is not None:
            self.outer.leave(usage, known)
        return True

    def leave(self, usage: object, known: object) -> None:
        """An inner call books this usage."""
        self._taken.extend(thing for thing in (usage, known) if thing is not None)
        if self.outer is not None:
            self.outer.leave(usage, known)
