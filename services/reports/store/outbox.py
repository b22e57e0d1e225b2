"""Messages that were promised in a transaction and leave after it: taken when due, dropped when delivered."""

import msgspec
import sqlalchemy as sa

from services.reports.store.rows import send_later
from services.reports.tables import jobs, outbox
from shared.database import Database

TAKEN_SECONDS = 30.0


class Parcel(msgspec.Struct, frozen=True):
    """One message on its way out."""

    id: str
    kind: str
    job_id: str
    payload: dict[str, object]
    tries: int


class Outbox:
    """`report_outbox`. Taking a parcel moves its due time on, so that another relay leaves it alone meanwhile."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, kind: str, job_id: str, due_at: float) -> None:
        """A message outside of any other change."""
        async with self._database.begin() as connection:
            await send_later(connection, kind, job_id, due_at)

    async def take(self, kind: str, now: float, most: int = 50) -> list[Parcel]:
        query = (
            sa.select(outbox).where(outbox.c.kind == kind, outbox.c.due_at <= now).order_by(outbox.c.due_at).limit(most)
        )
        async with self._database.read() as connection:
            if (await connection.execute(query.limit(1))).first() is None:
                return []
        async with self._database.begin() as connection:
            rows = (await connection.execute(query.with_for_update(skip_locked=True))).mappings().all()
            ids = [row["id"] for row in rows]
            await connection.execute(sa.update(outbox).where(outbox.c.id.in_(ids)).values(due_at=now + TAKEN_SECONDS))
        return [Parcel(row["id"], row["kind"], row["job_id"], row["payload"], row["tries"]) for row in rows]

    async def sent(self, parcel: Parcel) -> None:
        async with self._database.begin() as connection:
            await connection.execute(sa.delete(outbox).where(outbox.c.id == parcel.id))

    async def postpone(self, parcel: Parcel, due_at: float) -> None:
        async with self._database.begin() as connection:
            await connection.execute(
                sa.update(outbox).where(outbox.c.id == parcel.id).values(due_at=due_at, tries=parcel.tries + 1)
            )

    async def address(self, job_id: str) -> tuple[str | None, str | None]:
        """Where a job's webhook goes, and what signs it."""
        query = sa.select(jobs.c.webhook_url, jobs.c.webhook_secret).where(jobs.c.id == job_id)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        return (None, None) if row is None else (row.webhook_url, row.webhook_secret)
