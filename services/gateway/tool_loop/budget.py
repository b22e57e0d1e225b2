"""What one request may spend on tools, and the numbers its attempts are given."""

from shared import clock
from shared.config.tools import ToolLimits


class Budget:
    """Counts rounds, calls and seconds of one request against the limits."""

    def __init__(self, limits: ToolLimits) -> None:
        self.limits = limits
        self._began = clock.monotonic()
        self.rounds = 0
        self.calls = 0

    @property
    def seconds_left(self) -> float:
        """Time that tools may still take."""
        return self.limits.seconds - (clock.monotonic() - self._began)

    def take_call(self) -> bool:
        """Count a call; False when it is one too many."""
        if self.calls >= self.limits.calls:
            return False
        self.calls += 1
        return True

    def reached(self) -> str | None:
        """The limit that is used up, if one is."""
        if self.rounds >= self.limits.rounds:
            return "rounds"
        if self.calls >= self.limits.calls:
            return "calls"
        return "seconds" if self.seconds_left <= 0 else None


class Numbering:
    """Attempts of a request are numbered from 1, over models and tools alike."""

    def __init__(self, first: int) -> None:
        self.next = first

    @property
    def highest(self) -> int:
        """The last number given."""
        return self.next - 1

    def take(self, count: int = 1) -> int:
        """The first of so many new numbers."""
        first = self.next
        self.next += count
        return first
