"""A spool that keeps what it is told, and holds its callers to the order: started, progress, ended once."""

import asyncio
from collections.abc import Callable

from shared.errors import SpoolFull
from shared.messages.router import AttemptEnded, AttemptProgress, AttemptStarted


class SpoolInMemory:
    """Same three methods as shared.spool.Spool."""

    def __init__(self) -> None:
        self.started: list[AttemptStarted] = []
        self.noted: list[AttemptProgress] = []
        self.ended: list[AttemptEnded] = []
        self.full = False
        self._open: set[str] = set()
        self._changed = asyncio.Event()

    def start(self, started: AttemptStarted) -> None:
        if self.full:
            raise SpoolFull
        assert started.event_id not in self._open, "an attempt begins once"
        self.started.append(started)
        self._open.add(started.event_id)

    def progress(self, progress: AttemptProgress) -> None:
        assert progress.event_id in self._open, "progress of an attempt that does not run"
        self.noted.append(progress)
        self._changed.set()

    def end(self, ended: AttemptEnded) -> None:
        assert ended.event_id in self._open or ended.kind == "cache", "an attempt ends once, after it began"
        self._open.discard(ended.event_id)
        self.ended.append(ended)
        self._changed.set()

    @property
    def running(self) -> int:
        """Attempts that began and have not ended."""
        return len(self._open)

    async def until(self, holds: Callable[[], bool], seconds: float = 5) -> None:
        """Wait until the books say so."""
        async with asyncio.timeout(seconds):
            while not holds():
                self._changed.clear()
                await self._changed.wait()
