"""Alembic's entry: the ledger's tables on the connection that `shared/database.py` gives."""

from services.usage.tables import metadata
from shared import migration

migration.run(metadata)
