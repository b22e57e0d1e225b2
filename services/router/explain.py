"""The router explained: every target's state and record, and who would be chosen now and why."""

from typing import Any

from services.router.catalog import AUTO, Catalog, Model, Target
from services.router.choose import Choice
from services.router.inventory import Inventory
from services.router.record import Record, Records
from shared import clock
from shared.money import NANO


class Explainer:
    """Reads what the router would decide by."""

    def __init__(self, inventory: Inventory, records: Records, choice: Choice) -> None:
        self._inventory = inventory
        self._records = records
        self._choice = choice

    def explain(self, catalog: Catalog, auto: str | None) -> dict[str, Any]:
        """The whole picture."""
        now = clock.now()
        return {
            "strategy": catalog.config.routing.strategy,
            "unknown_model": catalog.config.routing.unknown_model,
            AUTO: auto,
            "models": {model.name: self._model(catalog, model, now) for model in catalog},
            "providers": {name: self._provider(name, catalog, now) for name in catalog.providers},
        }

    def _model(self, catalog: Catalog, model: Model, now: float) -> dict[str, Any]:
        strategy = catalog.config.routing.strategy
        order = self._choice.order(model.targets, strategy, now)
        rows = [self._target(target, place, strategy, now) for place, target in enumerate(order, 1)]
        return {"targets": rows, "fallbacks": list(model.fallbacks)}

    def _target(self, target: Target, place: int, strategy: str, now: float) -> dict[str, Any]:
        record = self._records.of(target.key)
        cooling = record.is_cooling(now)
        return {
            "provider": target.provider,
            "model": target.model,
            "place": place,
            "state": "cooling" if cooling else "ok",
            "why": self._why(record, target, place, strategy, now),
            "weight": target.weight,
            "success_rate": round(record.success_rate(now), 4),
            "successes": round(record.successes, 2),
            "failures": round(record.failures, 2),
            "ttft_ms": None if record.ttft_ms is None else round(record.ttft_ms, 1),
            "cooldown_left_seconds": round(record.cooling_until - now, 1) if cooling else 0,
            "probe_in_seconds": round(max(0.0, record.probe_at - now), 1) if cooling else None,
            "last_error": record.last_error,
        }

    def _provider(self, name: str, catalog: Catalog, now: float) -> dict[str, Any]:
        checked = self._inventory.checked.get(name)
        provider = self._inventory.fleet[name]
        return {
            "protocol": catalog.providers[name].protocol,
            "keys": len(provider.keys.keys),
            "keys_resting": provider.keys.resting(clock.monotonic()),
            "checked_seconds_ago": None if checked is None else round(now - checked.at, 1),
            "error": None if checked is None else checked.error,
            "models_listed": None if checked is None else checked.models,
        }

    def _why(self, record: Record, target: Target, place: int, strategy: str, now: float) -> str:
        if record.is_cooling(now):
            reason = f"it failed ({record.last_error}); it is asked last until its cooldown is over"
            return f"{reason}, now due for one probing request" if record.wants_probe(now) else reason
        return f"place {place} by {strategy}: {self._figure(record, target, strategy, now)}"

    def _figure(self, record: Record, target: Target, strategy: str, now: float) -> str:
        if strategy == "weighted":
            return f"weight {target.weight:g}, drawn anew for each request"
        if strategy == "latency":
            known = record.ttft_ms
            return "never measured" if known is None else f"{known:.0f} ms to the first token"
        if strategy == "cost":
            price = self._choice.price_of(target)
            return "its price is not known" if price is None else f"{price / NANO:g} for a usual call"
        return f"{record.success_rate(now):.0%} of its recent calls succeeded"
