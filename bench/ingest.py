"""How fast events come from a producer's spool through the broker into Postgres, and how soon a reader sees them.

    python -m bench.ingest [--rate 0] [--backlog 0] [--seconds 30] [--warm 5]

Postgres, RabbitMQ, the usage service, one producer and the reader share this machine. With `--rate 0` the producer keeps
its backlog filled, and what is told is the sustained intake; with a rate, how old events were when `stats/current` showed them.
With a backlog so many events wait in the broker before the usage service starts, and the producer is gone when it does.
"""

import argparse
import asyncio
import multiprocessing
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable

import asyncpg

from bench.measure import cpu_seconds, family
from chaos.servers import Server
from shared import clock, ids
from shared.bus import make_bus
from shared.messages.envelope import Named
from shared.messages.router import AttemptEnded, AttemptStarted
from shared.spool import Spool
from shared.spool_publisher import SpoolPublisher
from shared.wire.usage import TokenUsage
from tests.ports import free_port
from tests.system.stack import ADMIN, ROOT, get, wait_for

MODELS = ("qwen-plus", "qwen-turbo", "qwen-max", "gpt-4", "gpt-3.5-turbo")
TICK_SECONDS = 0.01
# Enough that the producer is never what is waited for, little enough that memory holds it.
BACKLOG = 8_000
POLL_SECONDS = 0.05


def attempt(dice: random.Random, number: int) -> tuple[AttemptStarted, AttemptEnded]:
    """A call as a router would note it: a long tail of users, twenty keys, one in five with a session."""
    named = Named(
        key_id=f"key_{number % 20}",
        user_id=f"user_{int(1000 * dice.random() ** 3)}",
        session_id=f"session_{number // 40}" if number % 5 == 0 else None,
        anchor_id=f"anchor_{number % 50}",
        function=f"function_{number % 12}",
    )
    same = {
        "event_id": ids.new_id(), "request_id": ids.request_id(), "attempt": 1, "timestamp": clock.now(),
        "named": named, "provider": f"provider_{number % 3}", "model": dice.choice(MODELS),
    }  # fmt: skip
    usage = TokenUsage(dice.randrange(500, 3500), dice.randrange(50, 950), None, None, None)
    ended = AttemptEnded(**same, usage=usage, usage_source="provider", duration_ms=0.0, ttft_ms=80.0)
    return AttemptStarted(**same), ended


async def produce(url: str, folder: pathlib.Path, rate: int, total: int) -> None:
    """Spool events and publish them, at a rate or as fast as they are taken, until killed or until all are published."""
    bus, spool, dice = make_bus(url), Spool(folder), random.Random(1)
    await bus.open()
    publisher = asyncio.create_task(SpoolPublisher(spool, bus).run())
    started = clock.monotonic()
    made = 0
    while not publisher.done() and (made < total or spool.events_waiting or not total):
        due = int((clock.monotonic() - started) * rate) if rate else made + max(0, BACKLOG - spool.events_waiting)
        due = min(due, total or due)
        for number in range(made, due):
            began, ended = attempt(dice, number)
            spool.start(began)
            spool.end(ended)
        made = max(made, due)
        await asyncio.sleep(TICK_SECONDS)
    publisher.cancel()
    await asyncio.wait({publisher})
    await bus.close()


def _produce(url: str, folder: pathlib.Path, rate: int, total: int) -> None:
    asyncio.run(produce(url, folder, rate, total))


class Ground:
    """The two servers and the usage service."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.servers = {kind: Server(kind, folder) for kind in ("postgres", "rabbitmq")}
        for server in self.servers.values():
            server.start()
        self.folder, self.port = folder, free_port()
        environ = {
            **os.environ, "TOLLWAY_ADMIN_TOKEN": ADMIN, "TOLLWAY_DATABASE_URL": self.servers["postgres"].url,
            "TOLLWAY_BUS_URL": self.servers["rabbitmq"].url,
        }  # fmt: skip
        command = [sys.executable, "-m", "services", "serve", "usage", "--port", str(self.port), "--data", str(folder)]
        self.log = (folder / "usage.log").open("wb")
        self._open = lambda: subprocess.Popen(command, cwd=ROOT, env=environ, stdout=self.log, stderr=self.log)
        self.start_usage()

    def start_usage(self) -> None:
        """Start the usage service and wait until it answers."""
        self.usage = self._open()
        wait_for(lambda: self.booked() >= 0, 60, "the usage service")

    def stop_usage(self) -> None:
        """Stop it as an operator would."""
        self.usage.send_signal(signal.SIGTERM)
        self.usage.wait(60)

    def booked(self) -> int:
        """How many calls of today a reader sees."""
        return int(get(f"http://127.0.0.1:{self.port}/api/ai_usage/stats/current")["today"]["calls"])

    def pids(self) -> dict[str, int]:
        """The first process of everything that works."""
        servers = {kind: server.process.pid for kind, server in self.servers.items() if server.process}
        return {"usage": self.usage.pid, **servers}

    def stop(self) -> None:
        self.stop_usage()
        for server in self.servers.values():
            server.kill(signal.SIGKILL)


def watch(booked: Callable[[], int], seconds: float) -> tuple[list[tuple[float, int]], list[float]]:
    """What a reader sees, again and again: the moment of each answer, the calls it showed, and how long it took."""
    seen: list[tuple[float, int]] = []
    took: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        asked = time.monotonic()
        try:
            calls = booked()
        except urllib.error.URLError as error:
            print(f"not answered: {error}", flush=True)
            continue
        seen.append((time.time(), calls))
        took.append(time.monotonic() - asked)
        time.sleep(POLL_SECONDS)
    return seen, sorted(took)


def ages(seen: list[tuple[float, int]], made: list[float]) -> list[float]:
    """How old each event was when it was first shown; events come in the order in which they were made."""
    found, place = [], 0
    for number in range(seen[0][1], seen[-1][1]):
        while seen[place][1] <= number:
            place += 1
        found.append(seen[place][0] - made[number])
    return sorted(found)


async def timestamps(database: str) -> list[float]:
    """When the events in the ledger were made, in order."""
    connection = await asyncpg.connect(database.replace("+asyncpg", ""))
    try:
        rows = await connection.fetch("SELECT at_us FROM usage_events ORDER BY at_us, event_id")
        return [row[0] / 1e6 for row in rows]
    finally:
        await connection.close()


def main() -> None:
    """Start everything, warm up, measure, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=0)
    parser.add_argument("--backlog", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--warm", type=float, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tollway-ingest-", ignore_cleanup_errors=True) as name:
        ground = Ground(pathlib.Path(name))
        context = multiprocessing.get_context("spawn")
        arguments = (ground.servers["rabbitmq"].url, pathlib.Path(name) / "spool", options.rate, options.backlog)
        producer = context.Process(target=_produce, args=arguments, daemon=True)
        if options.backlog:
            ground.stop_usage()  # it has made its queue
        producer.start()
        try:
            if options.backlog:
                producer.join()
                ground.start_usage()
            wait_for(lambda: ground.booked() > 0, 60, "the first booking")
            time.sleep(options.warm)
            pids = {**ground.pids(), **({} if options.backlog else {"producer": producer.pid or 0})}
            spent = {name: cpu_seconds(family(pid)) for name, pid in pids.items()}
            seen, took = watch(ground.booked, options.seconds)
            spent = {name: cpu_seconds(family(pid)) - spent[name] for name, pid in pids.items()}
            made = asyncio.run(timestamps(ground.servers["postgres"].url))
        finally:
            producer.kill()
            ground.stop()
    (start, before), (end, after) = seen[0], seen[-1]
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    print(f"booked {after - before} events in {end - start:.1f} s: {(after - before) / (end - start):,.0f} a second")
    print(f"the reader's answers took {1000 * took[len(took) // 2]:.0f} ms, the slowest {1000 * took[-1]:.0f} ms")
    told = ", ".join(f"{name} {1e6 * seconds / max(1, after - before):.0f}" for name, seconds in spent.items())
    print(f"CPU microseconds an event: {told}")
    if options.rate:
        found = ages(seen, made)
        told = ", ".join(f"p{share} {found[int(share / 100 * (len(found) - 1))]:.3f} s" for share in (50, 95, 99, 100))
        print(f"age when first shown, {len(found)} events: {told}")


if __name__ == "__main__":
    main()
