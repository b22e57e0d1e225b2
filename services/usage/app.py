"""Composes the ledger: intake, statistics, prices, alerts and the dashboard, from what the process has opened."""

from pathlib import Path

from fastapi import FastAPI

from services.usage import metrics
from services.usage.access import Access
from services.usage.alerts import Alerts
from services.usage.book import Book, Booked
from services.usage.consumers import Intake
from services.usage.export import FOLDER, Exports
from services.usage.kept import Kept
from services.usage.ledger import Ledger
from services.usage.live import Live
from services.usage.prices import Prices
from services.usage.proof import Proof
from services.usage.reprice import Repricing
from services.usage.routes import board, desk, edge, internal, page, stats
from services.usage.routes import ledger as ledger_routes
from services.usage.routes import prices as prices_routes
from services.usage.upkeep import Upkeep
from services.usage.webhooks import Webhooks
from shared.service import Part, Resources

HERE = Path(__file__).parent
MIGRATIONS = HERE / "migrations"


async def compose(resources: Resources) -> Part:
    """The usage service."""
    resources.database.require("usage", MIGRATIONS)
    ledger = assemble(resources)
    intake = Intake(resources.bus, ledger.book, resources.database.ready)
    webhooks = Webhooks(resources.database, resources.config, resources.http, resources.settings)
    upkeep = Upkeep(ledger)
    return Part(
        name="usage",
        http=routes(ledger),
        workers={
            "intake": intake.run,
            "live": ledger.live.listen,
            "webhooks": webhooks.run,
            "settle": upkeep.settle,
            "partitions": upkeep.partitions,
            "proof": upkeep.prove,
        },
    )


def assemble(resources: Resources) -> Ledger:
    """The parts, wired."""
    prices = Prices(resources.database, resources.config)
    live = Live(resources.bus, resources.tasks)

    def has_price(model: str, at: float) -> bool:
        return prices.book.find(None, model, None, at) is not None

    def told(booked: Booked) -> None:
        section = resources.config.current
        metrics.EVENTS.labels("booked").inc(len(booked.events))
        metrics.EVENTS.labels("duplicate").inc(booked.duplicates)
        metrics.EVENTS.labels("quarantined").inc(booked.quarantined)
        metrics.booked(booked.events, section.models, section.usage.currency)
        live.booked(booked)

    access = Access(resources.settings)
    resources.config.subscribe_tokens(access.take_up)
    alerts = Alerts(resources.database, resources.config, has_price)
    book = Book(resources.database, resources.config, prices, alerts, told)
    return Ledger(
        resources,
        access,
        prices,
        alerts,
        book,
        live,
        Exports(resources.settings.data / FOLDER),
        Proof(resources.database, resources.config),
        Repricing(resources.database, resources.config, prices),
        Kept(),
    )


def routes(ledger: Ledger) -> FastAPI:
    """The HTTP surface."""
    app = FastAPI(title="Tollway usage", version="1", docs_url=None, redoc_url=None)
    app.state.ledger = ledger
    edge.install(app)
    for module in (stats, ledger_routes, board, prices_routes, desk, internal, page):
        app.include_router(module.router)
    app.mount("/static", page.files(HERE / "static"))
    return app
