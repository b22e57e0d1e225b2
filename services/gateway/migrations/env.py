"""Migrations of the gateway's tables."""

from services.gateway.tables import metadata
from shared import migration

migration.run(metadata)
