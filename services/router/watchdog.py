"""The deadlines of a running stream: how long a provider may be silent, and how long the whole may take."""

import asyncio

from services.router.exchange import Exchange


class Watchdog:
    """Closes the exchange when a deadline passes; `reason` then says which. One timer per stream, not one per read."""

    __slots__ = ("_exchange", "_handle", "_idle_seconds", "_loop", "_total_at", "reason", "waiting_since")

    def __init__(self, exchange: Exchange, *, idle_seconds: float, total_at: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._exchange = exchange
        self._idle_seconds = idle_seconds
        self._total_at = total_at
        self.reason: str | None = None
        # Set while we wait for the provider: a client that reads slowly is not the provider's silence.
        self.waiting_since: float | None = None
        self._handle = self._loop.call_at(min(total_at, self._loop.time() + idle_seconds), self._look)

    def wait(self) -> None:
        """We begin to wait for the provider."""
        self.waiting_since = self._loop.time()

    def shorten(self, idle_seconds: float) -> None:
        """From here on silence is borne this long only."""
        self._idle_seconds = idle_seconds
        self._handle.cancel()
        self._handle = self._loop.call_later(idle_seconds, self._look)

    def stop(self, reason: str | None = None) -> None:
        """No deadline any more; with a reason, the wait ends now."""
        self._handle.cancel()
        if reason is not None:
            self._expire(reason)

    def _look(self) -> None:
        now = self._loop.time()
        since = self.waiting_since
        if now >= self._total_at:
            self._expire("the answer took longer than it may")
        elif since is not None and now - since >= self._idle_seconds:
            self._expire("the provider fell silent in the middle of its answer")
        else:
            again = min(self._total_at, (now if since is None else since) + self._idle_seconds)
            self._handle = self._loop.call_at(max(again, now + 0.001), self._look)

    def _expire(self, reason: str) -> None:
        self.reason = reason
        self._exchange.close()
