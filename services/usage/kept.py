"""Answers kept for a moment: many open dashboards ask the same question, and nothing changes it but a booking."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any

from shared import clock

MOST = 200
SECONDS = 1.0


class Kept:
    """The last answers by question; good until the ledger has a newer number, and a second at most."""

    def __init__(self) -> None:
        self._answers: OrderedDict[Hashable, tuple[int, float, Any]] = OrderedDict()
        self._making: dict[Hashable, asyncio.Lock] = {}

    async def get(self, question: Hashable, number: int, make: Callable[[], Awaitable[Any]]) -> Any:
        """The kept answer, or a new one; those who ask at the same time wait for one making."""
        if (answer := self._fresh(question, number)) is not None:
            return answer
        lock = self._making.setdefault(question, asyncio.Lock())
        async with lock:
            if (answer := self._fresh(question, number)) is None:
                answer = await make()
                self._answers[question] = (number, clock.monotonic() + SECONDS, answer)
                self._answers.move_to_end(question)
        while len(self._answers) > MOST:
            old, _ = self._answers.popitem(last=False)
            self._making.pop(old, None)
        return answer

    def _fresh(self, question: Hashable, number: int) -> Any:
        found = self._answers.get(question)
        if found is None or found[0] != number or found[1] < clock.monotonic():
            return None
        return found[2]
