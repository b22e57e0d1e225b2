"""Where a key stands in its limits per minute, and how OpenAI's and Anthropic's clients are told."""

import math
from dataclasses import dataclass

from services.gateway.callers import Key
from shared import clock
from shared.messages.gateway import Dialect

MINUTE = 60.0


@dataclass(frozen=True)
class Window:
    """One limit: what was used in this minute and the last one; the last one fades as this one passes."""

    limit: int
    used: int
    before: int
    passed: float  # share of this minute, 0 to 1

    @property
    def remaining(self) -> int:
        """How much is left."""
        return max(0, self.limit - self.used - math.ceil(self.before * (1 - self.passed)))

    def wait(self, need: int) -> float:
        """Seconds until there is room for so much."""
        spare = self.limit - self.used - need
        if spare >= 0:
            share = 1 - spare / self.before if self.before > spare else 0.0
            return max(0.0, (share - self.passed) * MINUTE)
        fades = 1 - (self.limit - need) / self.used if need < self.limit else 1.0
        return (1 - self.passed + max(0.0, fades)) * MINUTE

    @property
    def reset(self) -> float:
        """Seconds until all of it is there again."""
        if self.used:
            return (2 - self.passed) * MINUTE
        return (1 - self.passed) * MINUTE if self.before else 0.0


@dataclass(frozen=True)
class Standing:
    """A key's windows after an admission."""

    requests: Window | None
    tokens: Window | None

    @classmethod
    def of(cls, key: Key, now: float, told: list[int]) -> "Standing":
        """What the admission script told."""
        passed = (now % MINUTE) / MINUTE
        rpm, tpm = key.requests_per_minute, key.tokens_per_minute
        return cls(
            None if rpm is None else Window(rpm, told[3], told[4], passed),
            None if tpm is None else Window(tpm, told[5], told[6], passed),
        )

    def requests_wait(self, need: int) -> float:
        """Seconds until a request may come."""
        return self.requests.wait(need) if self.requests else 0.0

    def tokens_wait(self) -> float:
        """Seconds until there are tokens again."""
        return self.tokens.wait(1) if self.tokens else 0.0

    def headers(self, dialect: Dialect) -> dict[str, str]:
        """The dialect's rate-limit headers."""
        windows = {"requests": self.requests, "tokens": self.tokens}
        told: dict[str, str] = {}
        for name, window in windows.items():
            if window is None:
                continue
            values = {"limit": str(window.limit), "remaining": str(window.remaining)}
            if dialect == "openai":
                values["reset"] = f"{window.reset:.3f}s"
                told |= {f"x-ratelimit-{word}-{name}": value for word, value in values.items()}
            else:
                values["reset"] = clock.from_unix(clock.now() + window.reset).strftime("%Y-%m-%dT%H:%M:%SZ")
                told |= {f"anthropic-ratelimit-{name}-{word}": value for word, value in values.items()}
        return told
