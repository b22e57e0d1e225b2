"""Composition of the tool workers: sources, consumers per pool, readiness after the first connections."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from services.tools.consumers import Announcer, Cancels, DeadLetters, OutcomeQuestions, PoolConsumer
from services.tools.opening import Opening
from services.tools.pools import Pools
from services.tools.providers.base import Provider
from services.tools.providers.builtin import BuiltinProvider
from services.tools.providers.mcp import McpProvider
from services.tools.providers.python import PythonProvider
from services.tools.providers.unifai import UnifAIProvider
from services.tools.registry import Registry
from services.tools.run import Runner
from services.tools.settle import Settling
from shared.bus import Queue
from shared.ids import new_id
from shared.messages.tools import DEAD_QUEUE, call_queue
from shared.service import Part, Resources

Worker = Callable[[], Awaitable[None]]


async def compose(resources: Resources) -> Part:
    """The tools part."""
    bus, tasks, config = resources.bus, resources.tasks, resources.config
    worker = new_id()
    providers = _providers(resources)
    registry = Registry(providers)
    runner = Runner(registry, bus, resources.cache, tasks, worker)
    config.subscribe(lambda _: registry.changed())

    def consumer(pool: str) -> Worker:
        concurrency = config.current.tools.concurrency
        return PoolConsumer(pool, runner, bus, tasks, resources.lifecycle, opening, concurrency).run

    opening = Opening()
    pools = Pools(config, bus, opening, consumer)
    opening.expect(len(pools.names) + 2)  # and who hears cancels and questions
    queues = [Queue(DEAD_QUEUE), *(call_queue(pool) for pool in pools.names)]
    settling = Settling(registry, Announcer(registry, bus, worker), opening, bus, queues)
    workers: dict[str, Worker] = {
        "calls": pools.run,
        "cancels": Cancels(runner, bus, opening).run,
        "outcomes": OutcomeQuestions(runner, bus, opening).run,
        "dead_letters": DeadLetters(bus, tasks, opening, worker).run,
        "sources": settling.run,
    }
    return Part(name="tools", workers=workers, checks={"tools": settling.check})


def _providers(resources: Resources) -> list[Provider]:
    config, settings = resources.config, resources.settings
    folders = [settings.working_directory.resolve()]
    if settings.config_path is not None:
        folders.append(Path(settings.config_path).resolve().parent)
    return [
        BuiltinProvider(config, resources.http, resources.cache),
        PythonProvider(config, folders),
        McpProvider(config, settings.environment),
        UnifAIProvider(config, resources.http),
    ]
