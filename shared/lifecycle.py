"""How a process stops: new work is refused, running answers finish, what runs past the deadline is told."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Lifecycle:
    """`draining` is set when a stop was asked for; `expired` when running answers had their time."""

    def __init__(self) -> None:
        self.draining = asyncio.Event()
        self.expired = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._running = 0

    @property
    def running(self) -> int:
        """How many answers are being given."""
        return self._running

    @contextmanager
    def track(self) -> Iterator[None]:
        """Count an answer as running: the process waits for it before it stops."""
        self._running += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()

    async def finish(self, seconds: float, grace_seconds: float = 5) -> None:
        """Refuse new work, wait for what runs; past the deadline set `expired` and wait a little longer."""
        self.draining.set()
        try:
            await asyncio.wait_for(self._idle.wait(), seconds)
        except TimeoutError:
            self.expired.set()
            try:
                await asyncio.wait_for(self._idle.wait(), grace_seconds)
            except TimeoutError:
                return
