"""The last whole hour, compared with the same hour of the same weekday in the last weeks: far dearer, or silent."""

from typing import Any

import structlog

from services.usage.alerts import ANOMALY, SILENCE
from services.usage.forecast import anomaly, silence
from services.usage.ledger import Ledger
from services.usage.store import alerts as store
from services.usage.store import rollups
from services.usage.sums import NONE, Sums
from services.usage.zone import DAY, HOUR, Span
from shared import clock
from shared.money import NANO, decimal_of

log = structlog.get_logger(__name__)

_WEEKS = 8
_MICRO = 1_000_000


async def look(ledger: Ledger) -> bool:
    """Raise an alert when the last whole hour was out of the ordinary; once per hour."""
    now = clock.now()
    hour = ledger.zone.bucket(now) - HOUR
    weeks = [hour - week * 7 * DAY for week in range(_WEEKS + 1)]
    async with ledger.resources.database.read() as connection:
        found = [await rollups.by_name(connection, "", "total", Span(at, at + HOUR), ["model"]) for at in weeks]
    last, *past = [sums.get("model", NONE) for sums in found]
    # Weeks before the first booking are not evidence of a quiet hour.
    while past and not past[-1].calls:
        past.pop()
    values = _dear(ledger, hour, last, past) or _silent(ledger, hour, last, past)
    if values is None:
        return False
    common = {"budget": values["kind"], "name": "", "period_start": hour, "threshold": 0, "currency": ledger.currency}
    async with ledger.resources.database.begin() as connection:
        raised = await store.raise_alert(connection, {**common, **values, "at_us": round(now * _MICRO)}) is not None
    if raised:
        log.warning("hour_out_of_the_ordinary", kind=values["kind"], text=values["text"])
    return raised


def _dear(ledger: Ledger, hour: int, last: Sums, past: list[Sums]) -> dict[str, Any] | None:
    costs = sorted(sums.cost_nano for sums in past)
    if not anomaly(float(last.cost_nano), [float(cost) for cost in costs], float(NANO)):
        return None
    usual = decimal_of(costs[len(costs) // 2])
    text = (
        f"{last.cost} {ledger.currency} in the hour from {ledger.zone.iso(hour)}; "
        f"the same hour of the last weeks had {usual} in the middle"
    )
    return {"kind": ANOMALY, "spent_nano": last.cost_nano, "text": text}


def _silent(ledger: Ledger, hour: int, last: Sums, past: list[Sums]) -> dict[str, Any] | None:
    calls = [sums.calls for sums in past]
    if not silence(last.calls, calls):
        return None
    text = (
        f"No call in the hour from {ledger.zone.iso(hour)}; "
        f"the same hour of the last {len(calls)} weeks had {min(calls)} at the least"
    )
    return {"kind": SILENCE, "spent_nano": 0, "text": text}
