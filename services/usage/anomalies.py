"""An hour that cost far more than its like: compared with the same hour of the same weekday in the last weeks."""

from sqlalchemy.ext.asyncio import AsyncConnection

from services.usage.forecast import anomaly
from services.usage.ledger import Ledger
from services.usage.store import alerts as store
from services.usage.store import rollups
from services.usage.sums import NONE
from services.usage.zone import DAY, HOUR, Span
from shared import clock
from shared.money import NANO, decimal_of

ANOMALY = "anomaly"
_WEEKS = 8
_MICRO = 1_000_000


async def look(ledger: Ledger) -> bool:
    """Raise an alert when the last whole hour was one; once per hour."""
    now = clock.now()
    hour = ledger.zone.bucket(now) - HOUR
    database = ledger.resources.database
    async with database.read() as connection:
        spent = await _spent(connection, hour)
        past = [await _spent(connection, hour - week * 7 * DAY) for week in range(1, _WEEKS + 1)]
    # Weeks before the first booking are not evidence of a quiet hour.
    while past and not past[-1]:
        past.pop()
    if not anomaly(float(spent), [float(value) for value in past], float(NANO)):
        return False
    usual = decimal_of(sorted(past)[len(past) // 2])
    values = {
        "kind": ANOMALY,
        "budget": ANOMALY,
        "name": "",
        "period_start": hour,
        "threshold": 0,
        "spent_nano": spent,
        "currency": ledger.currency,
        "text": (
            f"{decimal_of(spent)} {ledger.currency} in the hour from {ledger.zone.iso(hour)}; "
            f"the same hour of the last weeks had {usual} in the middle"
        ),
        "at_us": round(now * _MICRO),
    }
    async with database.begin() as connection:
        return await store.raise_alert(connection, values) is not None


async def _spent(connection: AsyncConnection, hour: int) -> int:
    found = await rollups.by_name(connection, "", "total", Span(hour, hour + HOUR), ["model"])
    return found.get("model", NONE).cost_nano
