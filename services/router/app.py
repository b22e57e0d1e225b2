"""The router's composition root: what it is made of, and the part that a process runs."""

import random
from dataclasses import dataclass

from services.router.attempt import Router
from services.router.choose import Choice
from services.router.costs import Costs
from services.router.estimate import Tokenizer
from services.router.explain import Explainer
from services.router.inventory import Inventory
from services.router.lists import Lister
from services.router.plan import Planner
from services.router.probe import Probe
from services.router.record import Records
from services.router.routes import Routes
from services.router.standing import Standing
from services.router.store import SharedRecords
from shared.health import App
from shared.messages.gateway import Router as RouterPort
from shared.peers import LocalPeer, RemotePeer
from shared.service import Part, Resources
from shared.settings import revealed


@dataclass
class RouterPart(Part):
    """The part, and the router itself for a gateway in the same process."""

    router: RouterPort | None = None


async def compose(resources: Resources, *, usage: App | None = None) -> RouterPart:
    """The router as a part of a process; `usage` is the ledger's app when it is in the same one."""
    token = revealed(resources.settings.internal_token)
    dice = random.Random()
    records = Records()
    shared = SharedRecords(records, resources.cache, lambda: resources.config.current.routing.probe_seconds)
    lister = Lister(resources.cache)
    inventory = Inventory(resources.config, records, resources.http, lister)
    ledger = LocalPeer(usage, token) if usage else RemotePeer(resources.http, resources.settings.usage_url, token)
    costs = Costs(resources.config, ledger)
    choice = Choice(records, costs.of, dice)
    standing = Standing(records, lambda: resources.config.current.routing, shared.changed, resources.lifecycle)
    router = Router(
        resources,
        inventory=inventory,
        planner=Planner(records, choice, shared.claim_probe, dice),
        standing=standing,
        explainer=Explainer(inventory, records, choice),
        tokenizer=Tokenizer(),
        dice=dice,
    )
    routes = Routes(router, token, resources.lifecycle, resources.tasks)
    workers = {"probe": Probe(inventory, records).run, "stop": routes.stop_late, "prices": costs.run}
    if not resources.settings.cache_url.startswith("memory:"):
        workers["records"] = shared.run
    return RouterPart(
        "router",
        http=routes,
        workers=workers,
        router=router,
    )
