"""How targets have done: successes and failures that fade, time to first token, cooldowns. Pure.

An outage that is over is forgiven, so that one good probe brings all traffic back; a second one soon after is not.
"""

import math
from collections.abc import Iterable, Sequence

import msgspec

HALF_LIFE_SECONDS = 600.0
_SMOOTHING = 0.2
_FORGOTTEN = 0.5


class Record(msgspec.Struct):
    """The history of one target. Times are Unix times, so that replicas can share them."""

    successes: float = 0.0
    failures: float = 0.0
    updated_at: float = 0.0
    ttft_ms: float | None = None
    failed_at: float = 0.0
    cooling_until: float = 0.0
    probe_at: float = 0.0
    cleared_at: float = 0.0
    last_error: str | None = None
    # The failures since the last good answer, and whether some were forgiven lately; both fade like the counts.
    outage: float = 0.0
    forgiven: float = 0.0
    # What other replicas counted, as of `foreign_at`.
    foreign_successes: float = 0.0
    foreign_failures: float = 0.0
    foreign_at: float = 0.0

    def succeeded(self, now: float, began_at: float, ttft_ms: float | None) -> None:
        """A call was answered in full; one that began after the last failure ends the cooldown."""
        self._fade(now)
        self.successes += 1
        if ttft_ms is not None:
            self.ttft_ms = ttft_ms if self.ttft_ms is None else self.ttft_ms + _SMOOTHING * (ttft_ms - self.ttft_ms)
        if self.cooling_until and began_at >= self.failed_at:
            self._well_again(now)

    def failed(
        self, now: float, error: str, *, cooldown_seconds: float, probe_seconds: float, retry_after: float | None = None
    ) -> None:
        """A call failed: the target is left alone, for as long as it asked for when it did."""
        self._fade(now)
        self.failures += 1
        self.outage += 1
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
        own, foreign = _fading(now - self.updated_at), _fading(now - self.foreign_at)
        good = self.successes * own + self.foreign_successes * foreign
        bad = self.failures * own + self.foreign_failures * foreign
        return (good + 1) / (good + bad + 1)

    def hear(self, others: Sequence["Told"], now: float) -> bool:
        """Take over what other replicas tell: their counts beside ours, and the latest word about the cooldown.

        Returns whether that changed what we have to tell ourselves.
        """
        own = self.failures
        self.foreign_at = now
        self.foreign_successes = sum(told.successes * _fading(now - told.updated_at) for told in others)
        self.foreign_failures = sum(told.failures * _fading(now - told.updated_at) for told in others)
        for told in others:
            if self.ttft_ms is None:
                self.ttft_ms = told.ttft_ms
            if told.failed_at > max(self.failed_at, self.cleared_at):
                self.failed_at, self.last_error = told.failed_at, told.last_error
                self.cooling_until, self.probe_at = told.cooling_until, told.probe_at
            if told.cleared_at > max(self.failed_at, self.cleared_at):
                self._well_again(told.cleared_at)
        return self.failures != own

    def tell(self) -> "Told":
        """What other replicas should know."""
        return Told(
            self.successes,
            self.failures,
            self.updated_at,
            self.ttft_ms,
            self.failed_at,
            self.cooling_until,
            self.probe_at,
            self.cleared_at,
            self.last_error,
        )

    def _well_again(self, cleared_at: float) -> None:
        self.cooling_until = self.probe_at = 0.0
        self.cleared_at = cleared_at
        if self.outage and self.forgiven < _FORGOTTEN:
            self.failures = max(0.0, self.failures - self.outage)
            self.forgiven = 1.0
        self.outage = 0.0

    def _fade(self, now: float) -> None:
        fading = _fading(now - self.updated_at)
        self.successes *= fading
        self.failures *= fading
        self.outage *= fading
        self.forgiven *= fading
        self.updated_at = now


class Told(msgspec.Struct, frozen=True, array_like=True):
    """A record as one replica tells it to the others: its own counts, and the latest it knows of the cooldown."""

    successes: float
    failures: float
    updated_at: float
    ttft_ms: float | None
    failed_at: float
    cooling_until: float
    probe_at: float
    cleared_at: float
    last_error: str | None


def _fading(seconds: float) -> float:
    """What is left of a count after that time."""
    return math.exp2(-max(0.0, seconds) / HALF_LIFE_SECONDS)


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

    def tell(self, keys: Iterable[str]) -> dict[str, Told]:
        """What other replicas should know of these targets."""
        return {key: self._by_key[key].tell() for key in keys if key in self._by_key}

    def keep(self, keys: Iterable[str]) -> None:
        """Forget all targets but these."""
        wanted = set(keys)
        self._by_key = {key: record for key, record in self._by_key.items() if key in wanted}
