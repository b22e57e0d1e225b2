"""`make chaos`: kill -9 of processes and servers under load, then outages of a minute, with the figures.

python -m chaos [--kills 200] [--rounds 2] [--seed 1] [--outage 60] [--threads 6]

First every labelled point, `rounds` times; then at random until `kills` have died; then the broker is gone for
`outage` seconds, then the database. At the end the books are compared.
"""

import argparse
import pathlib
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter

from chaos.books import judge
from chaos.ground import TOOL, Ground
from chaos.load import Load
from chaos.outage import outage
from chaos.points import POINTS

VICTIMS = ("router", "router", "usage", "usage", "gateway", "tools", "rabbitmq", "postgres")


def at_points(ground: Ground, rounds: int, dice: random.Random) -> tuple[Counter[str], list[str]]:
    """Somebody dies at each labelled point; who died, and the points nobody came by."""
    killed: Counter[str] = Counter()
    missed: list[str] = []
    for number in range(rounds):
        for point in dice.sample(POINTS, len(POINTS)):
            ground.stack.wait_ready(90)
            if ground.strike(point):
                killed[point.service if point.victim == "itself" else point.victim] += 1
                killed[point.service] += point.at_start
            else:
                missed.append(point.name)
                print(f"  never reached: {point.name}", flush=True)
            killed["(ended by itself)"] += len(ground.revive())
        print(f"  round {number + 1}: {len(POINTS)} labelled points", flush=True)
    return killed, missed


def at_random(ground: Ground, kills: int, dice: random.Random) -> Counter[str]:
    """So many kills, of anybody, at any moment."""
    killed: Counter[str] = Counter()
    for number in range(1, kills + 1):
        time.sleep(dice.uniform(0.05, 0.6))
        victim = dice.choice(VICTIMS)
        ground.kill(victim)
        killed[victim] += 1
        killed["(ended by itself)"] += len(ground.revive())
        if number % 20 == 0:
            print(f"  {number} kills at random", flush=True)
            ground.stack.wait_ready(90)
    return killed


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m chaos")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=2)
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
    dice = random.Random(options.seed)
    load = Load(ground.stack.url, options.threads, options.seed, tool=TOOL)
    load.start()
    killed, missed = at_points(ground, options.rounds, dice)
    killed += at_random(ground, max(0, options.kills - _kills(killed)), dice)
    load.stop()
    print(
        f"kills: {_kills(killed)} ({', '.join(f'{name} {count}' for name, count in sorted(killed.items()) if count)})"
    )
    asked = ", ".join(f"{name} {count}" for name, count in load.outcomes.most_common())
    print(f"requests: {load.outcomes.total()} ({asked}), the slowest {load.slowest_seconds:.1f} s")
    calm = True
    for seed, kind in enumerate(("rabbitmq", "postgres") if options.outage else ()):
        ground.stack.wait_ready(90)
        found = outage(ground, kind, options.outage, seed=options.seed + 1000 + seed)
        calm = calm and found.holds
        print(found.line(), flush=True)
    ground.settle()
    verdict = judge(ground.stack, ground.servers["postgres"].url, ground.tool_books)
    print("\n".join(verdict.lines()))
    exact = verdict.holds and calm and not missed
    print(f"{'exact' if exact else 'NOT EXACT'} after {time.monotonic() - started:.0f} s")
    return 0 if exact else 1


def _kills(killed: Counter[str]) -> int:
    return sum(count for name, count in killed.items() if not name.startswith("("))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"chaos: {error}")
