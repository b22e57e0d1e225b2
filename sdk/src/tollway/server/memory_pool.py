"""The memories of all sessions: forgotten when long unused, the least recently used first when there are many."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tollway.memory import MemoryManager


@dataclass(slots=True)
class _Kept:
    memory: Any
    used_at: float


class MemoryPool:
    """Session memories by id."""

    def __init__(
        self,
        ttl: float = 3600,
        max_items: int = 1000,
        clean_interval: float = 600,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ttl = ttl
        self.max_items = max_items
        self.clean_interval = clean_interval
        self._clock = clock
        # least recently used first
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._cleaned_at = clock()

    @property
    def size(self) -> int:
        """How many sessions are remembered."""
        return len(self._kept)

    def get_or_create(self, session_id: str, memory_cls: Callable[[], Any] = MemoryManager) -> Any:
        """The memory of a session, made when there is none (or none that has not expired)."""
        now = self._clock()
        # also here, for an app that is mounted in another one never gets to run its cleaner
        if now - self._cleaned_at >= self.clean_interval:
            self.clean_expired()
        kept = self._kept.get(session_id)
        if kept is None or now - kept.used_at > self.ttl:
            kept = self._kept[session_id] = _Kept(memory_cls(), now)
        kept.used_at = now
        self._kept.move_to_end(session_id)
        while len(self._kept) > self.max_items:
            self._kept.popitem(last=False)
        return kept.memory

    def clean_expired(self) -> int:
        """Forgets the sessions that were unused for longer than their lifetime; returns how many."""
        now = self._cleaned_at = self._clock()
        forgotten = 0
        while self._kept and now - next(iter(self._kept.values())).used_at > self.ttl:
            self._kept.popitem(last=False)
            forgotten += 1
        return forgotten

    def __contains__(self, session_id: object) -> bool:
        return session_id in self._kept
