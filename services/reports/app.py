"""Composes the reports service from what the process has opened: the desk, the builders and what moves jobs along."""

from collections.abc import Callable, Collection
from pathlib import Path

from fastapi import FastAPI

from services.reports.artifacts import ArtifactFolder
from services.reports.build import Builder
from services.reports.consumers import Consumer
from services.reports.desk import Desk
from services.reports.foreman import Foreman
from services.reports.identity import Badge, Doorkeeper
from services.reports.plan import Limits
from services.reports.progress import Bell
from services.reports.reach import (
    BodyCache,
    DataTransport,
    GatewayModel,
    HttpUsageClient,
    InsightDrawer,
    LocalCaller,
    RemoteCaller,
)
from services.reports.recipes import ANY_MODEL, Recipe, TokenRecipe, UsageRecipe
from services.reports.relay import OfferRelay, Sweeper, WebhookRelay, worker_name
from services.reports.routes import install
from services.reports.sources.gather import Sources
from services.reports.store.jobs import JobStore
from services.reports.store.outbox import Outbox
from services.reports.store.rows import JOB
from services.reports.store.work import WorkStore
from services.reports.turns import SharedTurns
from services.reports.webhooks import Webhooks
from shared import clock
from shared.health import App
from shared.ids import new_id
from shared.service import Part, Resources
from shared.settings import Settings, revealed

MIGRATIONS = Path(__file__).parent / "migrations"
DEFAULT_FOLDER = Path("data/reports")  # what the examples say


async def compose(
    resources: Resources, *, gateway: Callable[[], App | None] | None = None, usage: App | None = None
) -> Part:
    """The reports service; where the others are in the same process they are called without a socket.

    The gateway is composed after this service, so it is asked for when a model is first needed.
    """
    resources.database.require("reports", MIGRATIONS)
    settings, config = resources.settings, resources.config
    work, jobs, outbox = (
        WorkStore(resources.database),
        JobStore(resources.database),
        Outbox(resources.database),
    )
    artifacts = ArtifactFolder(folder(settings, config.current.reports.directory))
    bell, incarnation = Bell(), new_id()

    def guard() -> tuple[bool, Collection[str]]:
        return config.current.byo.allow_private, config.current.byo.allow_hosts

    def limits() -> Limits:
        section = config.current.reports
        return Limits(section.running_per_owner, section.retention_days, section.evidence_days)

    webhooks = Webhooks(resources.http, guard)
    ready = resources.database.ready
    relay, herald = OfferRelay(outbox, ready, resources.bus), WebhookRelay(outbox, ready, webhooks)
    sweeper = Sweeper(work, jobs, artifacts, worker_name(incarnation), ready, relay.wake.set)

    async def offer_again(job_id: str, due_at: float) -> None:
        await outbox.add(JOB, job_id, due_at)

    # One set for all builders of the process: the pace of a data source is shared.
    foreman = Foreman(settings.environment)
    recipes = make_recipes(resources, foreman, gateway, usage)

    def builder(number: int) -> Builder:
        worker = worker_name(incarnation, number)
        return Builder(work, artifacts, recipes, resources.tasks, worker, limits, offer_again, bell)

    workers = {
        f"worker-{number}": Consumer(
            resources.bus, builder(number), resources.database.ready, resources.lifecycle.draining
        ).run
        for number in range(1, config.current.reports.workers + 1)
    }
    doorkeeper = Doorkeeper(settings)
    config.subscribe_tokens(doorkeeper.take_up)
    desk = Desk(
        doorkeeper,
        jobs,
        artifacts,
        webhooks,
        bell,
        resources.lifecycle.draining,
        revealed(settings.webhook_secret),
        relay.wake.set,
    )
    moving = {**workers, "relay": relay.run, "webhooks": herald.run, "sweeper": sweeper.run}
    return Part("reports", routes(desk), moving, closers=[foreman.close])


def routes(desk: Desk) -> FastAPI:
    """The HTTP surface."""
    app = FastAPI(title="Tollway reports", version="1", docs_url=None, redoc_url=None)
    app.state.desk = desk
    install(app)
    return app


def folder(settings: Settings, directory: str | None) -> Path:
    """The configured folder; the default lies in the data folder, wherever that was put, written out or not."""
    if directory is None or Path(directory) == DEFAULT_FOLDER:
        return settings.data / "reports"
    return Path(directory)


def make_recipes(
    resources: Resources, foreman: Foreman, gateway: Callable[[], App | None] | None, usage: App | None
) -> dict[str, Recipe]:
    settings, config = resources.settings, resources.config
    badge = Badge(settings)
    config.subscribe_tokens(badge.take_up)
    session = resources.http.session
    ask_gateway = LocalCaller(gateway) if gateway else RemoteCaller(session, settings.url)
    ask_usage = LocalCaller(lambda: usage) if usage else RemoteCaller(session, settings.usage_url)
    sources = Sources(
        DataTransport(resources.http),
        BodyCache(resources.cache),
        clock.monotonic,
        lambda: config.current.reports.data_sources,
        SharedTurns(resources.cache),
    )
    model = GatewayModel(ask_gateway, badge)
    client = HttpUsageClient(ask_usage, badge, revealed(settings.internal_token))
    drawer = InsightDrawer(resources.cache)
    return {
        "token": TokenRecipe(
            sources, foreman, model, lambda: config.current.reports.insight_model or ANY_MODEL, drawer
        ),
        "usage": UsageRecipe(client, foreman),
    }
