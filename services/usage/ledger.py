"""What the routes share: the database, the zone and currency in force, and who may see what."""

from dataclasses import dataclass

from services.usage.access import Access
from services.usage.alerts import Alerts
from services.usage.book import Book
from services.usage.export import Exports
from services.usage.kept import Kept
from services.usage.live import Live
from services.usage.prices import Prices
from services.usage.proof import Proof
from services.usage.reprice import Repricing
from services.usage.zone import Zone, zone_of
from shared.config.usage import Usage
from shared.service import Resources


@dataclass
class Ledger:
    """The parts of a composed ledger."""

    resources: Resources
    access: Access
    prices: Prices
    alerts: Alerts
    book: Book
    live: Live
    exports: Exports
    proof: Proof
    repricing: Repricing
    kept: Kept

    @property
    def section(self) -> Usage:
        """The configuration in force."""
        return self.resources.config.current.usage

    @property
    def zone(self) -> Zone:
        """The reporting zone in force."""
        return zone_of(self.section.timezone)

    @property
    def currency(self) -> str:
        """The reporting currency in force."""
        return self.section.currency
