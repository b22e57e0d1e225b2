"""`make chaos`: kill -9 of every process and server at random under load, then outages of a minute, with the figures.

python -m chaos [--kills 200] [--seed 1] [--outage 60] [--threads 6] [--keep]
"""

import argparse
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter

from chaos.books import judge
from chaos.load import Load
from chaos.servers import Server
from tests.system.stack import Stack, wait_for

VICTIMS = ("router", "router", "usage", "usage", "gateway", "tools", "rabbitmq", "postgres")
SETTLE_SECONDS = 120.0


class Ground:
    """A split Tollway on servers of its own, all of which may die."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.servers = {kind: Server(kind, folder) for kind in ("postgres", "rabbitmq", "redis")}
        for server in self.servers.values():
            server.start()
        data = folder / "tollway"
        data.mkdir()
        self.stack = Stack(data, {kind: server.url for kind, server in self.servers.items()})

    def kill(self, name: str) -> None:
        if name in self.servers:
            self.servers[name].kill()
            self.servers[name].start()
        else:
            self.stack.kill(name, signal.SIGKILL)
            self.stack.start_service(name)

    def revive(self) -> list[str]:
        """Start what ended by itself, as whoever runs it would; it should not have to."""
        dead = [name for name in self.stack.services if self.stack.processes[name].poll() is not None]
        for name in dead:
            print(f"  {name} ended by itself:\n{self.stack.log(name)[-1500:]}", flush=True)
            self.stack.start_service(name)
        return dead

    def explain(self) -> None:
        """What the services say of themselves when something did not come back."""
        for name in self.stack.services:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.stack.ports[name]}/ready", timeout=5) as answer:
                    told = answer.read().decode()
            except urllib.error.HTTPError as error:
                told = error.read().decode()
            except OSError as error:
                told = str(error)
            print(f"--- {name}: {told}\n{self.stack.log(name)[-2500:]}")
        for kind, server in self.servers.items():
            print(f"--- {kind}\n{(server.folder / 'output.log').read_text(errors='replace')[-1500:]}")

    def stop(self) -> None:
        self.stack.stop()
        for server in self.servers.values():
            server.kill(signal.SIGKILL)

    def settle(self) -> None:
        """Until everything is up and every event has arrived."""
        self.stack.wait_ready(90)
        last = -1

        def quiet() -> bool:
            nonlocal last
            now = int(self.stack.usage("health").get("events", 0) or 0)
            before, last = last, now
            time.sleep(3)
            return now == before

        wait_for(quiet, SETTLE_SECONDS, "the ledger is quiet")


def killing(ground: Ground, options: argparse.Namespace, dice: random.Random) -> Counter[str]:
    killed: Counter[str] = Counter()
    while sum(killed[name] for name in set(VICTIMS)) < options.kills:
        time.sleep(dice.uniform(0.05, 0.6))
        victim = dice.choice(VICTIMS)
        ground.kill(victim)
        killed[victim] += 1
        killed["(ended by itself)"] += len(ground.revive())
        if killed.total() % 20 == 0:
            print(f"  {killed.total()} kills", flush=True)
            ground.stack.wait_ready(90)
    return killed


def outage(ground: Ground, kind: str, seconds: float) -> tuple[int, int]:
    """The server is gone for that long; how many requests were asked, and how many failed because of it."""
    load = Load(ground.stack.url, 2, seed=7)
    ground.servers[kind].kill()
    load.start()
    time.sleep(seconds)
    failed = sum(count for outcome, count in load.outcomes.items() if outcome.startswith(("status 5", "connection")))
    asked = load.outcomes.total()
    ground.servers[kind].start()
    load.stop()
    return asked, failed


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m chaos")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--outage", type=float, default=60)
    parser.add_argument("--threads", type=int, default=6)
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tollway-chaos-", ignore_cleanup_errors=True) as folder:
        ground = Ground(pathlib.Path(folder))
        try:
            return _run(ground, options, started)
        except AssertionError as error:
            print(f"chaos: {error}")
            ground.explain()
            return 1
        finally:
            ground.stop()


def _run(ground: Ground, options: argparse.Namespace, started: float) -> int:
    ground.stack.start()
    load = Load(ground.stack.url, options.threads, options.seed)
    load.start()
    killed = killing(ground, options, random.Random(options.seed))
    load.stop()
    print(f"kills: {killed.total()} ({', '.join(f'{name} {count}' for name, count in sorted(killed.items()))})")
    print(
        f"requests: {load.outcomes.total()} ({', '.join(f'{name} {count}' for name, count in load.outcomes.most_common())})"
    )
    quiet = True
    for kind in ("rabbitmq", "postgres") if options.outage else ():
        ground.stack.wait_ready(90)
        asked, failed = outage(ground, kind, options.outage)
        quiet = quiet and not failed
        print(f"{kind} gone for {options.outage:g} s: {asked} requests, {failed} failed because of it")
    ground.settle()
    verdict = judge(ground.stack, ground.servers["postgres"].url)
    print("\n".join(verdict.lines()))
    print(f"{'exact' if verdict.holds and quiet else 'NOT EXACT'} after {time.monotonic() - started:.0f} s")
    return 0 if verdict.holds and quiet else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"chaos: {error}")
