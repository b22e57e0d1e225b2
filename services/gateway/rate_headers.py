"""Where a key stands in its limits per minute, and how OpenAI's and Anthropic's clients are told."""

from dataclasses import dataclass

from services.gateway.callers import Key
from shared import clock
from shared.messages.gateway import Dialect


@dataclass(frozen=True)
class Window:
    """One limit: what the last minute used of it, and in how many seconds none of that counts any more."""

    limit: int
    used: int
    reset: float

    @property
    def remaining(self) -> int:
        """How much is left."""
        return max(0, self.limit - self.used)


@dataclass(frozen=True)
class Standing:
    """A key's windows after an admission."""

    requests: Window | None
    tokens: Window | None

    @classmethod
    def of(cls, key: Key, told: list[int]) -> "Standing":
        """What the admission script told."""
        rpm, tpm = key.requests_per_minute, key.tokens_per_minute
        return cls(
            None if rpm is None else Window(rpm, told[3], told[6] / 1000),
            None if tpm is None else Window(tpm, told[4], told[7] / 1000),
        )

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
