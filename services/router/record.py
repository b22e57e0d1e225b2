"""How targets have done: successes and failures that fade, time to first token, cooldowns. Pure."""

import math
from collections.abc import Iterable

import msgspec

HALF_LIFE_SECONDS = 600.0
_SMOOTHING = 0.2


class Record(msgspec.Struct):
    """The history of one target. Times are Unix times, so that replicas can share them."""

    successes: float = 0.0
    failures: float = 0.0
    updated_at: float = 0.0
    ttft_ms: float | None = None
    failed_at: float = 0.0
    cooling_until: float = 0.0
    probe_at: float = 0.0
    last_error: str | None = None

    def succeeded(self, now: float, began_at: float, ttft_ms: float | None) -> None:
        """A call was answered in full; one that began after the last failure ends the cooldown."""
        self._fade(now)
        self.successes += 1
        if ttft_ms is not None:
            self.ttft_ms = ttft_ms if self.ttft_ms is None else self.ttft_ms + _SMOOTHING * (ttft_ms - self.ttft_ms)
        if self.cooling_until and began_at >= self.failed_at:
            self.cooling_until = self.probe_at = 0.0

    def failed(
        self, now: float, error: str, *, cooldown_seconds: float, probe_seconds: float, retry_after: float | None = None
    ) -> None:
        """A call failed: the target is left alone, for as long as it asked for when it did."""
        self._fade(now)
        self.failures += 1
        self.failed_at, self.last_error = now, error
        self.cooling_until = max(self.cooling_until, now + (cooldown_seconds if retry_after is None else retry_after))
        # A probe before the end of the provider's own pause would only be refused again.
        self.probe_at = now + max(probe_seconds, retry_after or 0.0)

    def is_cooling(self, now: float) -> bool:
        """Whether it is left alone now."""
        return self.cooling_until > now

    def wants_probe(self, now: float) -> bool:
        """Whether one live request should find out if it is well again."""
        return self.is_cooling(now) and self.probe_at <= now

    def success_rate(self, now: float) -> float:
        """Between 0 and 1. A target without history counts as good, so that new ones get a chance."""
        fading = self._fading(now)
        return (self.successes * fading + 1) / ((self.successes + self.failures) * fading + 1)

    def _fade(self, now: float) -> None:
        fading = self._fading(now)
        self.successes *= fading
        self.failures *= fading
        self.updated_at = now

    def _fading(self, now: float) -> float:
        return math.exp2(-max(0.0, now - self.updated_at) / HALF_LIFE_SECONDS)


class Records:
    """The records of all targets, by the target's key."""

    def __init__(self) -> None:
        self._by_key: dict[str, Record] = {}

    def of(self, key: str) -> Record:
        """The record of a target, an empty one for a new target."""
        found = self._by_key.get(key)
        if found is None:
            found = self._by_key[key] = Record()
        return found

    def put(self, key: str, record: Record) -> None:
        """Take over what another replica knows."""
        self._by_key[key] = record

    def keep(self, keys: Iterable[str]) -> None:
        """Forget all targets but these."""
        wanted = set(keys)
        self._by_key = {key: record for key, record in self._by_key.items() if key in wanted}
