"""The order of a coming up: queues first, then everybody who listens, then the announcement of the worker."""

import asyncio


class Opening:
    """Lets each step wait for the one before."""

    def __init__(self, listeners: int = 0) -> None:
        self.queues_made = asyncio.Event()
        self.all_listen = asyncio.Event()
        self._missing = listeners

    def expect(self, listeners: int) -> None:
        """So many have to listen before the worker is announced."""
        self._missing = listeners

    def listening(self) -> None:
        """One more listens."""
        self._missing -= 1
        if self._missing <= 0:
            self.all_listen.set()
