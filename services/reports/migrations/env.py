"""Migrations of the reports service's tables."""

from services.reports.tables import metadata
from shared import migration

migration.run(metadata)
