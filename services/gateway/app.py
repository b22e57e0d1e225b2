"""The gateway's composition root: what it is made of, and the part that a process runs."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from fastapi import FastAPI

from services.gateway.answer import Desk
from services.gateway.auth import Doorkeeper
from services.gateway.chat.running import RunningChats
from services.gateway.edge import BASES, Door, Edge, chat_paths
from services.gateway.endpoint import ModelEndpoint
from services.gateway.exchange import Floor
from services.gateway.guard import Guarded
from services.gateway.key_desk import KeyDesk
from services.gateway.keys import KeyRing
from services.gateway.limits import Limiter
from services.gateway.openapi import ApiDocument
from services.gateway.prompt_cache import PromptCache
from services.gateway.router_client import RouterClient
from services.gateway.routes.admin import admin_routes
from services.gateway.routes.chat import chat_endpoints
from services.gateway.routes.forward import Forwarder, Peers
from services.gateway.routes.framework import add_documents, make_app
from services.gateway.routes.models import ModelsEndpoint
from services.gateway.sessions import Sessions
from services.gateway.spending import Spending
from services.gateway.store import MIGRATIONS, KeyStore
from services.gateway.tool_loop.client import ToolsClient
from services.gateway.tool_loop.loop import ToolLoop
from services.gateway.upkeep import Upkeep
from shared.health import App
from shared.messages.gateway import Router
from shared.peers import LocalPeer, Peer, RemotePeer
from shared.service import Part, Resources
from shared.settings import revealed

OPEN_SECONDS = 15.0


async def compose(
    resources: Resources, *, router: Router | None = None, forwards: Mapping[str, App] | None = None
) -> Part:
    """The gateway as a part of a process: with the router and the forwarded apps at hand, or reached over HTTP."""
    settings, config, cache = resources.settings, resources.config, resources.cache
    token = revealed(settings.internal_token)
    client = RouterClient(resources.http, settings.router_url, token)
    answering: Router = router or client
    peers = _peers(resources, forwards, token)
    resources.database.require("gateway", MIGRATIONS)
    store = KeyStore(resources.database)
    ring = KeyRing(store)
    doorkeeper = Doorkeeper(settings, ring)
    config.subscribe_tokens(doorkeeper.take_up)
    spending = Spending(peers.usage, config)
    limiter = Limiter(cache, spending)
    sessions = Sessions(cache, config)
    tools = ToolsClient(resources)
    desk = Desk(
        doorkeeper=doorkeeper,
        limiter=limiter,
        sessions=sessions,
        prompt_cache=PromptCache(cache, resources.spool, config),
        tool_loop=ToolLoop(answering, tools=tools, resources=resources),
    )
    floor = Floor(resources.tasks)
    chats = RunningChats(resources.bus, cache, resources.tasks)
    rest = make_app()
    rest.include_router(admin_routes(doorkeeper, KeyDesk(store, ring), limiter, answering))
    forwarder = Forwarder(doorkeeper=doorkeeper, floor=floor, peers=peers, lifecycle=resources.lifecycle)
    add_documents(rest, _document(rest, resources, peers, forwarder))
    models = ModelsEndpoint(desk, floor, answering)
    edge = Edge(
        floor=floor,
        chat=ModelEndpoint(desk, floor, "openai", "chat"),
        doors=_doors(desk, floor, models) | _chat_doors(desk, tools, resources, floor, chats),
        models=models,
        forwarder=forwarder,
        rest=Guarded(rest, floor),
        config=config,
    )
    upkeep = Upkeep(limiter)
    workers: dict[str, Callable[[], Awaitable[None]]] = {
        "keys": ring.run,
        "prices": spending.run,
        "reservations": upkeep.renew,
        "budgets": upkeep.reconcile,
        "sessions": sessions.run,
        "tools_client": tools.run,
        "chat_aborts": chats.run,
        "interrupt": lambda: floor.interrupt_when(resources.lifecycle.expired),
    }
    checks = {"keys": ring.check, "tool_workers": tools.check} | ({} if router is not None else {"router": client.ping})
    return Part("gateway", http=edge, workers=workers, checks=checks, has_keys=lambda: _has_keys(resources, store))


def _peers(resources: Resources, forwards: Mapping[str, App] | None, token: str | None) -> Peers:
    settings = resources.settings

    def peer(name: str, url: str) -> Peer | None:
        if forwards is None:
            return RemotePeer(resources.http, url, token)
        return LocalPeer(forwards[name], token) if name in forwards else None

    return Peers(usage=peer("usage", settings.usage_url), reports=peer("reports", settings.reports_url))


def _doors(desk: Desk, floor: Floor, models: App) -> dict[str, Door]:
    doors: dict[str, Door] = {}
    for base in BASES:
        doors[f"{base}/messages"] = (ModelEndpoint(desk, floor, "anthropic", "chat"), ("POST",), "anthropic")
        counting = ModelEndpoint(desk, floor, "anthropic", "count_tokens")
        doors[f"{base}/messages/count_tokens"] = (counting, ("POST",), "anthropic")
        doors[f"{base}/embeddings"] = (ModelEndpoint(desk, floor, "openai", "embeddings"), ("POST",), "openai")
        doors[f"{base}/models"] = (models, ("GET", "HEAD"), None)
    return doors


def _chat_doors(
    desk: Desk, tools: ToolsClient, resources: Resources, floor: Floor, chats: RunningChats
) -> dict[str, Door]:
    """The chat surface looks at the method by itself."""
    endpoints = chat_endpoints(desk, tools, resources, floor, chats)
    return {path: (app, None, "openai") for path, app in endpoints.items()}


def _document(rest: FastAPI, resources: Resources, peers: Peers, forwarder: Forwarder) -> ApiDocument:
    return ApiDocument(
        own=rest.openapi,
        paths=lambda: chat_paths(resources.config.current),
        peers={"usage": peers.usage, "reports": peers.reports},
        forwarded=lambda path: forwarder.find(path) is not None,
    )


async def _has_keys(resources: Resources, store: KeyStore) -> bool:
    """Asked before anything listens, so the database is opened for it."""
    async with asyncio.timeout(OPEN_SECONDS):
        await resources.database.open()
    return bool(await store.listed())
