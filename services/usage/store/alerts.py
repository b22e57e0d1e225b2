"""Alerts once per budget, name, period and threshold, and the outbox of what is to be told about them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, exists, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from services.usage.tables import alerts, outbox


async def raise_alert(connection: AsyncConnection, values: dict[str, Any]) -> int | None:
    """Record an alert; None when it was raised before."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    insert: Any = dialect.insert(alerts).values(values).on_conflict_do_nothing().returning(alerts.c.id)
    found = (await connection.execute(insert)).scalar_one_or_none()
    return None if found is None else int(found)


async def open_alerts(connection: AsyncConnection) -> Sequence[Row[Any]]:
    """Alerts that were raised and not resolved."""
    found = await connection.execute(select(alerts).where(alerts.c.resolved_us.is_(None)).order_by(alerts.c.id))
    return found.all()


async def resolve(connection: AsyncConnection, alert_id: int, now_us: int) -> bool:
    """Mark an alert as over; False when somebody else did."""
    result = await connection.execute(
        update(alerts).where(alerts.c.id == alert_id, alerts.c.resolved_us.is_(None)).values(resolved_us=now_us)
    )
    return bool(result.rowcount)


async def feed(connection: AsyncConnection, limit: int) -> Sequence[Row[Any]]:
    """The last alerts, the newest first, each with whether its notice was delivered."""
    statement = (
        select(alerts, outbox.c.delivered_us, outbox.c.given_up_us, outbox.c.id.label("notice"))
        .outerjoin(outbox, outbox.c.alert_id == alerts.c.id)
        .order_by(alerts.c.id.desc(), outbox.c.id)
        .limit(2 * limit)
    )
    return (await connection.execute(statement)).all()


async def post(connection: AsyncConnection, values: dict[str, Any]) -> None:
    """Put a notice into the outbox."""
    await connection.execute(outbox.insert().values(values))


async def due(connection: AsyncConnection, now_us: int, limit: int = 20) -> Sequence[Row[Any]]:
    """Notices that should be sent now; what is said second about an alert waits for the first."""
    earlier = outbox.alias()
    behind = exists().where(
        earlier.c.alert_id == outbox.c.alert_id,
        earlier.c.id < outbox.c.id,
        earlier.c.delivered_us.is_(None),
        earlier.c.given_up_us.is_(None),
    )
    statement = (
        select(outbox)
        .where(outbox.c.delivered_us.is_(None), outbox.c.given_up_us.is_(None), outbox.c.next_us <= now_us, ~behind)
        .order_by(outbox.c.id)
        .limit(limit)
    )
    return (await connection.execute(statement)).all()


async def claim(connection: AsyncConnection, notice_id: int, attempts: int, next_us: int) -> bool:
    """Take a notice before sending it, so that two replicas do not send it at the same time."""
    result = await connection.execute(
        update(outbox)
        .where(outbox.c.id == notice_id, outbox.c.attempts == attempts, outbox.c.delivered_us.is_(None))
        .values(attempts=attempts + 1, next_us=next_us)
    )
    return bool(result.rowcount)


async def sent(connection: AsyncConnection, notice_id: int, now_us: int) -> None:
    """The receiver has it."""
    await connection.execute(update(outbox).where(outbox.c.id == notice_id).values(delivered_us=now_us, error=None))


async def failed(connection: AsyncConnection, notice_id: int, error: str, given_up_us: int | None) -> None:
    """It was not taken; try again unless given up."""
    await connection.execute(
        update(outbox).where(outbox.c.id == notice_id).values(error=error[:500], given_up_us=given_up_us)
    )


async def waiting(connection: AsyncConnection) -> bool:
    """Whether any notice is still to be sent."""
    statement = select(outbox.c.id).where(or_(outbox.c.delivered_us.is_(None)), outbox.c.given_up_us.is_(None)).limit(1)
    return (await connection.execute(statement)).first() is not None
