"""Runs a process: opens what it needs, serves, stops in order. Signals, the server and the siblings live here alone.

Stop order: refuse new work → finish streams → settle tasks → flush the spool → stop consumers → close in reverse.
A consumer that dies takes the process down with exit code 1 after the same drain.
"""

import asyncio
import contextlib
import gc
import importlib
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog
import uvicorn

from shared.arguments import Refused
from shared.bus import Bus, make_bus
from shared.cache import Cache, make_cache
from shared.config import LiveConfig
from shared.errors import BusUnavailable
from shared.health import App, Check, Front, Health, nothing
from shared.http_client import HttpClient
from shared.lifecycle import Lifecycle
from shared.settings import Settings
from shared.spool import Spool
from shared.spool_publisher import SpoolPublisher
from shared.tasks import Tasks

if TYPE_CHECKING:
    from shared.database import Database

log = structlog.get_logger(__name__)

Worker = Callable[[], Awaitable[None]]
FLUSH_SECONDS = 10.0
KEYS_SECONDS = 30.0
TASK_SECONDS = 5.0
WORKER_SECONDS = 5.0


@dataclass
class Resources:
    """What a process has opened. A service composes itself from it and opens nothing by itself."""

    settings: Settings
    config: LiveConfig
    bus: Bus
    cache: Cache
    http: HttpClient
    spool: Spool
    tasks: Tasks
    lifecycle: Lifecycle
    health: Health
    opened_database: "Database | None" = None

    @property
    def database(self) -> "Database":
        """The database of a process that asked for one."""
        if self.opened_database is None:
            raise RuntimeError("this process was opened without a database")
        return self.opened_database


@dataclass
class Part:
    """One service, composed: its routes, its consumers, and what it asks before it calls itself ready."""

    name: str
    http: App = nothing
    workers: Mapping[str, Worker] = field(default_factory=dict)
    checks: Mapping[str, Check] = field(default_factory=dict)
    closers: Sequence[Callable[[], Awaitable[None]]] = ()
    has_keys: Callable[[], Awaitable[bool]] | None = None


Compose = Callable[[Resources], Awaitable[Sequence[Part]]]


@dataclass(frozen=True)
class Plan:
    """What to run: how to compose it, what to open, where to listen."""

    name: str
    compose: Compose
    database: bool
    host: str
    port: int
    listener: socket.socket | None = None
    announce: Callable[[int], None] | None = None


class _Server(uvicorn.Server):
    """uvicorn without its signal handling: it would end the process before our drain."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


async def run(plan: Plan, settings: Settings, config: LiveConfig) -> int:
    """Run until stopped; returns the exit code."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with open_resources(settings, config, database=plan.database) as (resources, workers):
        parts = await plan.compose(resources)
        if resources.opened_database is not None and resources.database.dialect == "sqlite":
            await resources.database.open()  # a local file: the first request should find its tables
        await _refuse_open_door(resources, plan, parts)
        for part in parts:
            workers |= {f"{part.name}.{name}": worker for name, worker in part.workers.items()}
            for name, check in part.checks.items():
                resources.health.add(name, check)
        # What is here now stays for the life of the process: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)
        # How long a thread that works out a large batch may keep the loop waiting, at each of an answer's many turns.
        sys.setswitchinterval(0.001)
        return await _serve(plan, parts, resources, workers, stop)


async def _refuse_open_door(resources: Resources, plan: Plan, parts: Sequence[Part]) -> None:
    settings = resources.settings
    if not settings.open_to_all or settings.token or settings.insecure:
        return
    asks = [part.has_keys for part in parts if part.has_keys is not None]
    if asks:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(KEYS_SECONDS):
                await resources.database.open()
                if any([await ask() for ask in asks]):
                    return
    elif settings.internal_token or settings.admin_token:
        return
    raise Refused(
        f"{plan.name} would listen on {plan.host} without any key: set TOKEN or create a key, or start with --insecure"
    )


@asynccontextmanager
async def open_resources(
    settings: Settings, config: LiveConfig, *, database: bool
) -> AsyncIterator[tuple[Resources, dict[str, Worker]]]:
    """Open everything a process shares; what cannot be reached yet goes on trying and says so on /ready."""
    async with AsyncExitStack() as stack:
        lifecycle = Lifecycle()
        health = Health(config, lifecycle)
        bus, cache, http = make_bus(settings.bus_url), make_cache(settings.cache_url), HttpClient()
        await bus.open()
        stack.push_async_callback(bus.close)
        await cache.open()
        stack.push_async_callback(cache.close)
        stack.push_async_callback(http.close)
        spool = Spool(settings.data / "spool", limit_bytes=settings.spool_megabytes << 20)
        stack.callback(spool.close)
        publisher = SpoolPublisher(spool, bus)
        workers: dict[str, Worker] = {"config": config.watch, "spool": publisher.run}
        resources = Resources(settings, config, bus, cache, http, spool, Tasks(), lifecycle, health)
        health.add("bus", lambda: _bus_check(bus))
        health.add("cache", cache.ping)
        if database:
            resources.opened_database = importlib.import_module("shared.database").Database(settings.database)
            stack.push_async_callback(resources.database.close)
            health.add("database", resources.database.ping)
            workers["database"] = lambda: _opened(resources.database)
        yield resources, workers


async def _opened(database: "Database") -> None:
    await database.open()
    await asyncio.Event().wait()


async def _bus_check(bus: Bus) -> None:
    if not bus.connected:
        raise BusUnavailable


async def _serve(
    plan: Plan,
    parts: Sequence[Part],
    resources: Resources,
    workers: Mapping[str, Worker],
    stop: asyncio.Event,
) -> int:
    app = Front(parts[0].http, resources.health, resources.lifecycle)
    server = _Server(_uvicorn_config(app, plan))
    listener = plan.listener or _listen(plan.host, plan.port)
    port = listener.getsockname()[1]
    loop = asyncio.get_running_loop()
    siblings = [loop.create_task(_forever(worker, name), name=name) for name, worker in workers.items()]
    serving = loop.create_task(server.serve(sockets=[listener]), name="http")
    stopping = loop.create_task(stop.wait(), name="stop")
    log.info("started", service=plan.name, host=plan.host, port=port)
    if plan.announce:
        resources.tasks.start(_announce(server, plan.announce, port), name="announce")
    done, _ = await asyncio.wait({*siblings, serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    failed = [task for task in done if task is not stopping]
    for task in failed:
        error = task.exception()
        log.error("sibling_died", name=task.get_name(), error=repr(error), exc_info=error)
    await _drain(resources, server, serving, siblings, stopping)
    for part in reversed(parts):
        for close in part.closers:
            await close()
    log.info("stopped", service=plan.name)
    return 1 if failed else 0


async def _drain(
    resources: Resources,
    server: uvicorn.Server,
    serving: asyncio.Task[Any],
    siblings: Sequence[asyncio.Task[None]],
    stopping: asyncio.Task[Any],
) -> None:
    stopping.cancel()
    log.info("draining", running=resources.lifecycle.running)
    await resources.lifecycle.finish(resources.settings.drain_seconds)
    server.should_exit = True
    await asyncio.wait({serving}, timeout=WORKER_SECONDS)
    await resources.tasks.drain(TASK_SECONDS)
    if not await SpoolPublisher(resources.spool, resources.bus).flush(FLUSH_SECONDS):
        log.warning("spool_kept", events=resources.spool.events_waiting)
    for task in siblings:
        task.cancel()
    if siblings:
        await asyncio.wait(set(siblings), timeout=WORKER_SECONDS)
    serving.cancel()


async def _forever(worker: Worker, name: str) -> None:
    await worker()
    raise RuntimeError(f"{name} ended, which it never should")


async def _announce(server: uvicorn.Server, announce: Callable[[int], None], port: int) -> None:
    while not server.started:  # noqa: ASYNC110 -- uvicorn tells it in no other way
        await asyncio.sleep(0.01)
    announce(port)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]"), port))
    except OSError as error:
        raise Refused(f"cannot listen on {host}:{port}: {error.strerror}") from error
    listener.listen(2048)
    listener.settimeout(0)
    return listener


def _uvicorn_config(app: Any, plan: Plan) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=plan.host,
        port=plan.port,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=2,
        backlog=2048,
    )
