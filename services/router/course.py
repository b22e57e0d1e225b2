"""The order of attempts for one call, to the letter of the contract. Pure: it says whom to ask next, and when."""

import random
from collections.abc import Sequence

import msgspec

from services.router.catalog import Target
from services.router.errors import Failure

PATIENCE_SECONDS = 5.0
_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 2.0


class Step(msgspec.Struct, frozen=True):
    """Ask this target, after this pause."""

    target: Target
    pause_seconds: float = 0.0


class Course:
    """Another target of the model at once if there is one, else the same again after a pause, then the fallbacks."""

    def __init__(
        self, own: Sequence[Target], fallbacks: Sequence[Sequence[Target]], *, retries: int, dice: random.Random
    ) -> None:
        self._untried = list(own)
        self._tried: list[Target] = []
        self._fallbacks = list(fallbacks)
        self._left = 1 + retries
        self._final: set[str] = set()
        self._last: dict[str, Failure] = {}
        self._repeats = 0
        self._falling_back = False
        self._passed_over: Sequence[Target] = ()
        self._dice = dice

    def next(self) -> Step | None:
        """Whom to ask now; None when nobody is left."""
        return self._own() or self._fallback()

    def failed(self, target: Target, failure: Failure) -> None:
        """The target last given brought no answer."""
        self._last[target.key] = failure
        if failure.is_final:
            self._final.add(target.key)
        if failure.kind in ("context_length", "content_filter"):
            self._left = 0  # every target of this model would refuse as well
        if failure.kind == "content_filter":
            self._fallbacks.clear()

    def skip(self, target: Target) -> None:
        """The target last given cannot take this request at all: nothing was sent, and nothing will be."""
        self._final.add(target.key)
        if not self._falling_back:
            self._left += 1
        elif self._passed_over:
            self._fallbacks.insert(0, self._passed_over)

    def _own(self) -> Step | None:
        while self._left > 0 and self._untried:
            target = self._untried.pop(0)
            if target.key not in self._final:
                self._tried.append(target)
                self._left -= 1
                return Step(target)
        return self._again() if self._left > 0 else None

    def _again(self) -> Step | None:
        """The target that failed longest ago, unless it asked for more patience than a client has."""
        for target in self._tried:
            failure = self._last.get(target.key)
            if target.key in self._final or failure is None:
                continue
            asked = failure.error.retry_after
            if asked is not None and asked > PATIENCE_SECONDS and not failure.other_key:
                continue
            self._tried.remove(target)
            self._tried.append(target)
            self._left -= 1
            return Step(target, self._pause(failure))
        return None

    def _pause(self, failure: Failure) -> float:
        if failure.other_key:
            return 0.0
        self._repeats += 1
        if failure.error.retry_after is not None:
            return failure.error.retry_after
        pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** (self._repeats - 1))
        return float(pause * self._dice.uniform(0.7, 1.3))

    def _fallback(self) -> Step | None:
        self._left, self._falling_back = 0, True
        while self._fallbacks:
            targets = self._fallbacks.pop(0)
            for place, target in enumerate(targets, 1):
                if target.key not in self._final:
                    self._passed_over = targets[place:]
                    return Step(target)
        return None
