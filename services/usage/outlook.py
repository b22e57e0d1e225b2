"""What may come: the forecast, advice, budgets and alerts, each read from rollups for one reader."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from services.usage import advice as advising
from services.usage import forecast as forecasting
from services.usage import metrics, summarise
from services.usage.budgets import Budget, projected
from services.usage.ledger import Ledger
from services.usage.rollup import USE
from services.usage.store import alerts as alert_store
from services.usage.store import rollups, spans
from services.usage.sums import Sums
from services.usage.zone import DAY, months_before
from shared import clock
from shared.money import decimal_of
from shared.prices import Price

_MICRO = 1_000_000
_ADVICE_DAYS = 30
_MOST_NAMES = 20


async def forecast(connection: AsyncConnection, ledger: Ledger, scope: str) -> dict[str, Any]:
    """This month's cost with its interval, and how well the method did before."""
    now = clock.now()
    costs, today, first_day = await _costs(connection, ledger, scope, now)
    passed = (now - ledger.zone.start_of(today)) / DAY
    told = forecasting.month(costs, today, min(max(passed, 0.0), 1.0), first_day)
    if not scope:
        for name, key in (("0.1", "low"), ("0.5", "mid"), ("0.9", "high")):
            metrics.FORECAST.labels(name, ledger.currency).set(float(told[key]))
    return {**told, "currency": ledger.currency, **forecasting.scoreboard(costs, today, first_day)}


async def advice(connection: AsyncConnection, ledger: Ledger, scope: str) -> list[dict[str, Any]]:
    """Ways to spend less, from the last days."""
    now = clock.now()
    span = ledger.zone.last_days(_ADVICE_DAYS, now)
    asked = [("use", span), ("model", span), ("status", span)]
    by_use, models, statuses = await spans.sums(connection, scope, asked)
    uses: dict[tuple[str, str], Sums] = {}
    for name, sums in by_use.items():
        function, _, model = name.partition(USE)
        uses[function, model] = sums
    book = ledger.prices.book

    def find(model: str) -> Price | None:
        return book.find(None, model, None, now)

    ground = advising.Ground(
        days=_ADVICE_DAYS,
        currency=ledger.currency,
        now=now,
        uses=uses,
        models=models,
        statuses=statuses,
        find=find,
        rates=book.rates,
    )
    return advising.all_advice(ground)


async def budgets(connection: AsyncConnection, ledger: Ledger) -> list[dict[str, Any]]:
    """The configured limits with what is spent; one without a name to match has a row for every name near it."""
    now = clock.now()
    rows: list[dict[str, Any]] = []
    for budget in ledger.alerts.budgets(now):
        names = None if budget.by != "total" and budget.match is None else [budget.match or "model"]
        spent = await rollups.by_name(connection, "", budget.dimension, budget.span, names)
        spent.pop("", None)
        told = summarise.dearest(spent)[:_MOST_NAMES] or [(budget.match or "", Sums())]
        metrics.BUDGET.labels(budget.id).set(max(budget.used(sums.cost_nano) for _, sums in told) / 100)
        rows += [_budget(ledger, budget, name, sums.cost_nano, now) for name, sums in told]
    return rows


async def alerts(connection: AsyncConnection, ledger: Ledger, limit: int) -> list[dict[str, Any]]:
    """The last alerts, the newest first."""
    rows: dict[int, dict[str, Any]] = {}
    for row in await alert_store.feed(connection, limit):
        if row.id in rows:
            continue
        rows[row.id] = {
            "id": row.id,
            "kind": row.kind,
            "at": ledger.zone.iso(row.at_us / _MICRO),
            "budget": row.budget,
            "name": row.name or None,
            "threshold": row.threshold,
            "spent": None if row.spent_nano is None else decimal_of(row.spent_nano),
            "limit": None if row.limit_nano is None else decimal_of(row.limit_nano),
            "currency": row.currency,
            "state": "firing" if row.resolved_us is None else "resolved",
            "resolved_at": None if row.resolved_us is None else ledger.zone.iso(row.resolved_us / _MICRO),
            "text": row.text,
            "delivered": None if row.notice is None else row.delivered_us is not None,
        }
    return list(rows.values())[:limit]


async def _costs(
    connection: AsyncConnection, ledger: Ledger, scope: str, now: float
) -> tuple[dict[date, int], date, date | None]:
    """Daily costs since the first month that the scoreboard looks at, today, and the first day with any."""
    today = ledger.zone.today(now)
    first = min(
        months_before(today, forecasting.PAST_MONTHS) - timedelta(days=forecasting.HISTORY_DAYS),
        today - timedelta(days=forecasting.HISTORY_DAYS),
    )
    found = await summarise.daily_cost(connection, scope, ledger.zone, first, today)
    costs = {day: sums.cost_nano for day, sums in found.items()}
    return costs, today, min(costs, default=None)


def _budget(ledger: Ledger, budget: Budget, name: str, spent_nano: int, now: float) -> dict[str, Any]:
    expected = projected(spent_nano, budget.span, now)
    ahead: Sequence[int] = [step for step in budget.thresholds if spent_nano * 100 < budget.limit_nano * step]
    return {
        "id": budget.id,
        "name": budget.id,
        "scope": budget.by,
        "scope_value": None if budget.by == "total" else name or budget.match,
        "period": budget.period,
        "limit": decimal_of(budget.limit_nano),
        "spent": decimal_of(spent_nano),
        "remaining": decimal_of(max(0, budget.limit_nano - spent_nano)),
        "used": budget.used(spent_nano),
        "currency": ledger.currency,
        "state": budget.state(spent_nano),
        "thresholds": list(budget.thresholds),
        "next_threshold": min(ahead, default=None),
        "resets_at": ledger.zone.iso(budget.span.end),
        "projected": None if expected is None else decimal_of(expected),
        "source": "config",
    }
