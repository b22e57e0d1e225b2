"""A provider's keys: the first that is not resting is used, so that prompt caches stay warm; a refused one rests."""

from collections.abc import Sequence


class KeyRing:
    """Which key to use now. Times are monotonic seconds."""

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = tuple(keys)
        self._resting: dict[str, float] = {}

    def pick(self, now: float) -> str:
        """A key that works; if all rest, the one that rests the shortest; empty when there is none."""
        for key in self.keys:
            if self._resting.get(key, 0.0) <= now:
                return key
        return min(self.keys, key=lambda key: self._resting[key]) if self.keys else ""

    def rest(self, key: str, until: float) -> None:
        """Leave a key alone until then."""
        if key in self.keys:
            self._resting[key] = until

    def resting(self, now: float) -> int:
        """How many keys are left alone."""
        return sum(self._resting.get(key, 0.0) > now for key in self.keys)

    def has_fresh(self, now: float) -> bool:
        """Whether some key is not resting."""
        return self.resting(now) < len(self.keys)
