"""In which order targets are asked: by strategy, those that cool down last. Pure."""

import random
from collections.abc import Callable, Sequence
from typing import Literal

from services.router.catalog import Model, Target
from services.router.record import Record, Records

Strategy = Literal["success_rate", "weighted", "latency", "cost"]
PriceOf = Callable[[Target], float | None]


class Choice:
    """Orders targets by their records; `price_of` gives a comparable cost, None when it is not known."""

    def __init__(self, records: Records, price_of: PriceOf, dice: random.Random) -> None:
        self._records = records
        self.price_of = price_of
        self._dice = dice

    def order(self, targets: Sequence[Target], strategy: Strategy, now: float) -> list[Target]:
        """All targets, the best first. Nothing is refused: what cools down goes last, soonest over first."""
        if len(targets) == 1:
            return list(targets)
        well = [target for target in targets if not self._record(target).is_cooling(now)]
        ill = [target for target in targets if self._record(target).is_cooling(now)]
        well.sort(key=lambda target: self._rank(target, strategy, now))
        ill.sort(key=lambda target: self._record(target).cooling_until)
        return well + ill

    def probe(self, targets: Sequence[Target], now: float) -> Target | None:
        """A target that cools down and should be asked once, to see whether it is well again."""
        if len(targets) < 2:  # the only target is asked anyway
            return None
        return next((target for target in targets if self._record(target).wants_probe(now)), None)

    def best(self, models: Sequence[Model], now: float) -> list[Model]:
        """For `auto`: the models by their best target's record, healthy ones first, configured order between equals."""
        return sorted(models, key=lambda model: min(self._standing(target, now) for target in model.targets))

    def _record(self, target: Target) -> Record:
        return self._records.of(target.key)

    def _standing(self, target: Target, now: float) -> tuple[bool, float]:
        record = self._record(target)
        return record.is_cooling(now), -round(record.success_rate(now), 2)

    def _rank(self, target: Target, strategy: Strategy, now: float) -> float:
        record = self._record(target)
        if strategy == "weighted":
            # Sorting by u^(1/w) draws without replacement in proportion to the weights.
            return -(self._dice.random() ** (1 / target.weight)) if target.weight else 1.0
        if strategy == "latency":
            return record.ttft_ms or 0.0  # one that was never measured is asked first
        if strategy == "cost":
            price = self.price_of(target)
            return float("inf") if price is None else price
        return -round(record.success_rate(now), 2)
