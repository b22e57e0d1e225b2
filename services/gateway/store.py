"""The keys' rows: the only SQL of the gateway."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from services.gateway.callers import Key
from services.gateway.tables import keys
from shared.database import Database

MIGRATIONS = Path(__file__).parent / "migrations"


class KeyStore:
    """Reads and writes `gateway_keys`. A revoked key keeps its row, so that a closed gateway stays closed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ready(self) -> None:
        """Wait until the table is there."""
        await self._database.ready.wait()

    async def add(self, key: Key, secret_hash: str) -> None:
        """Store a new key."""
        values = _to_row(key) | {"id": key.id, "hash": secret_hash, "created_at": key.created_at}
        async with self._database.begin() as connection:
            await connection.execute(sa.insert(keys).values(**values, changed_at=key.created_at))

    async def listed(self, *, revoked: bool = False) -> list[Key]:
        """All keys, oldest first."""
        query = sa.select(keys).order_by(keys.c.created_at, keys.c.id)
        if not revoked:
            query = query.where(keys.c.revoked_at.is_(None))
        async with self._database.read() as connection:
            return [_from_row(row) for row in (await connection.execute(query)).mappings()]

    async def get(self, key_id: str) -> Key | None:
        """One key that is not revoked."""
        query = sa.select(keys).where(keys.c.id == key_id, keys.c.revoked_at.is_(None))
        async with self._database.read() as connection:
            row = (await connection.execute(query)).mappings().first()
        return None if row is None else _from_row(row)

    async def change(self, key: Key, now: float) -> bool:
        """Store a key's new description; False when there is none, or it was revoked meanwhile."""
        query = (
            sa.update(keys)
            .where(keys.c.id == key.id, keys.c.revoked_at.is_(None))
            .values(**_to_row(key), changed_at=now)
        )
        async with self._database.begin() as connection:
            return (await connection.execute(query)).rowcount > 0

    async def changed_since(self, since: float) -> list[tuple[str, Key]]:
        """Hash and key of every row changed after a time."""
        query = sa.select(keys).where(keys.c.changed_at > since)
        async with self._database.read() as connection:
            return [(row["hash"], _from_row(row)) for row in (await connection.execute(query)).mappings()]


def _to_row(key: Key) -> dict[str, Any]:
    return {
        "name": key.name,
        "owner": key.owner,
        "models": None if key.models is None else list(key.models),
        "tools": None if key.tools is None else list(key.tools),
        "default_tools": list(key.default_tools),
        "requests_per_minute": key.requests_per_minute,
        "tokens_per_minute": key.tokens_per_minute,
        "budget_per_day": key.budget_per_day,
        "budget_per_month": key.budget_per_month,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
    }


def _from_row(row: sa.RowMapping) -> Key:
    return Key(
        id=row["id"],
        name=row["name"],
        owner=row["owner"],
        models=None if row["models"] is None else tuple(row["models"]),
        tools=None if row["tools"] is None else tuple(row["tools"]),
        default_tools=tuple(row["default_tools"] or ()),
        requests_per_minute=row["requests_per_minute"],
        tokens_per_minute=row["tokens_per_minute"],
        budget_per_day=row["budget_per_day"],
        budget_per_month=row["budget_per_month"],
        expires_at=row["expires_at"],
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
    )
