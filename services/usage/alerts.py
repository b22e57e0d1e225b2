"""Alerts: decided inside the booking transaction, told through the outbox, and resolved when their reason is gone."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from services.usage.budgets import Budget, budget_of
from services.usage.event import Event
from services.usage.store import alerts as store
from services.usage.store import ledger, rollups
from services.usage.zone import Span, Zone, zone_of
from shared import clock, ids
from shared.config import LiveConfig
from shared.database import Database
from shared.money import decimal_of

log = structlog.get_logger(__name__)

_MICRO = 1_000_000
UNPRICED, ANOMALY, SILENCE = "unpriced", "anomaly", "silence"
# Of an alert about calls that the model's own price cannot price; the others are about models without one.
_UNSPLIT = 1


class Alerts:
    """Raises each alert once per budget, name, period and threshold."""

    def __init__(self, database: Database, config: LiveConfig, has_price: Callable[[str, float], bool]) -> None:
        self._database = database
        self._config = config
        self._has_price = has_price

    def budgets(self, at: float) -> list[Budget]:
        """The configured limits in the periods that hold a moment."""
        section = self._config.current.usage
        return [budget_of(alert, zone_of(section.timezone), at) for alert in section.alerts]

    async def decide(self, connection: AsyncConnection, fresh: Sequence[Event], now: float) -> None:
        """Raise what the events just added make due; a part of their transaction."""
        for budget in self.budgets(now):
            if names := budget.names(fresh):
                spent = await rollups.by_name(connection, "", budget.dimension, budget.span, sorted(names))
                for name, sums in sorted(spent.items()):
                    await self._raise(connection, budget, name, sums.cost_nano, now)
        day = self._zone.day(self._zone.today(now)).start
        unpriced = {(e.model or "", _UNSPLIT if e.price_version else 0) for e in fresh if e.unpriced and e.total_tokens}
        for model, reason in sorted(unpriced):
            await self._raise_unpriced(connection, model, reason, day, now)

    async def settle(self) -> None:
        """Resolve what is over: the period ended, the spending was corrected, the limit changed, a price came.

        And raise what corrections and changed limits made due, which no booking may ever do.
        """
        now = clock.now()
        budgets = {budget.id: budget for budget in self.budgets(now)}
        async with self._database.begin() as connection:
            await ledger.lock(connection)
            for each in budgets.values():
                await self._raise_due(connection, each, now)
            for alert in await store.open_alerts(connection):
                if (reason := await self._over(connection, alert, budgets, now)) is None:
                    continue
                if await store.resolve(connection, alert.id, round(now * _MICRO)):
                    log.info("alert_resolved", budget=alert.budget, name=alert.name, reason=reason)
                    budget = budgets.get(alert.budget)
                    if budget is not None and budget.webhook:
                        await self._post(connection, alert.id, "budget.resolved", _told(alert, reason), now)

    @property
    def _zone(self) -> Zone:
        return zone_of(self._config.current.usage.timezone)

    async def _raise_due(self, connection: AsyncConnection, budget: Budget, now: float) -> None:
        names = ["model"] if budget.by == "total" else None if budget.match is None else [budget.match]
        spent = await rollups.by_name(connection, "", budget.dimension, budget.span, names)
        for name, sums in sorted(spent.items()):
            if name:
                await self._raise(connection, budget, name, sums.cost_nano, now)

    async def _raise(self, connection: AsyncConnection, budget: Budget, name: str, spent_nano: int, now: float) -> None:
        currency = self._config.current.usage.currency
        for threshold in budget.reached(spent_nano):
            values = {
                "kind": "budget",
                "budget": budget.id,
                "name": "" if budget.by == "total" else name,
                "period_start": budget.span.start,
                "threshold": threshold,
                "spent_nano": spent_nano,
                "limit_nano": budget.limit_nano,
                "currency": currency,
                "text": budget.sentence(name, spent_nano, threshold, currency),
                "at_us": round(now * _MICRO),
            }
            alert_id = await store.raise_alert(connection, values)
            if alert_id is not None:
                log.warning("budget_threshold_reached", budget=budget.id, name=name, threshold=threshold)
                if budget.webhook:
                    told = {**_data(values), "scope": budget.by, "period": budget.period}
                    await self._post(connection, alert_id, "budget.threshold_reached", told, now)

    async def _raise_unpriced(self, connection: AsyncConnection, model: str, reason: int, day: int, now: float) -> None:
        name = model or "a model without a name"
        why = (
            f"calls of {name} came without a split of their tokens, or in a bucket or currency that has no price"
            if reason == _UNSPLIT
            else f"{name} has no price"
        )
        values = {
            "kind": UNPRICED,
            "budget": UNPRICED,
            "name": model,
            "period_start": day,
            "threshold": reason,
            "text": f"{why}: what it costs is missing from every total",
            "at_us": round(now * _MICRO),
        }
        if await store.raise_alert(connection, values) is not None:
            log.warning("model_unpriced", model=model)

    async def _over(
        self, connection: AsyncConnection, alert: Any, budgets: dict[str, Budget], now: float
    ) -> str | None:
        if alert.kind == UNPRICED and alert.threshold == _UNSPLIT:
            return None if alert.period_start == self._zone.day(self._zone.today(now)).start else "the day ended"
        if alert.kind == UNPRICED:
            return "a price is known now" if self._has_price(alert.name, now) else None
        if alert.kind == SILENCE:
            since = await rollups.by_name(connection, "", "total", Span(alert.period_start, round(now) + 1), ["model"])
            return "calls come again" if since else None
        if alert.kind != "budget":
            return None
        budget = budgets.get(alert.budget)
        if budget is None:
            return "the limit was removed"
        if budget.span.start != alert.period_start:
            return "the period ended"
        name = "model" if budget.by == "total" else alert.name
        spent = (await rollups.by_name(connection, "", budget.dimension, budget.span, [name])).get(name)
        reached = budget.reached(spent.cost_nano if spent else 0)
        return None if alert.threshold in reached else "the spending is below the threshold again"

    async def _post(
        self, connection: AsyncConnection, alert_id: int, kind: str, data: dict[str, Any], now: float
    ) -> None:
        body = {"type": kind, "timestamp": self._zone.iso(now), "data": data}
        await store.post(
            connection,
            {
                "message_id": f"msg_{ids.uuid7().hex}",
                "alert_id": alert_id,
                "budget": data["budget"],
                "body": msgspec.json.Encoder(decimal_format="number").encode(body).decode(),
                "attempts": 0,
                "next_us": round(now * _MICRO),
            },
        )


def _data(values: dict[str, Any]) -> dict[str, Any]:
    return {
        "budget": values["budget"],
        "name": values["name"] or None,
        "threshold": values["threshold"],
        "spent": decimal_of(values["spent_nano"]),
        "limit": decimal_of(values["limit_nano"]),
        "currency": values["currency"],
        "text": values["text"],
        "period_start": values["period_start"],
    }


def _told(alert: Any, reason: str) -> dict[str, Any]:
    mapping = alert._mapping  # noqa: SLF001 -- SQLAlchemy's public name of a row's mapping
    return {**_data(dict(mapping)), "reason": reason}
