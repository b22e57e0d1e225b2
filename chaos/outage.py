"""A server that is gone for a while under load: what clients notice, and what the ledger's health says meanwhile."""

import contextlib
import time
import urllib.error
from dataclasses import dataclass
from typing import Any

from chaos.ground import TOOL, Ground
from chaos.load import Load

DRAIN_SECONDS = 60.0


@dataclass
class Outage:
    """What was seen."""

    kind: str
    seconds: float
    asked: int
    failed: int
    lag_seconds: float  # the longest that health told of while the server was gone
    drained_seconds: float | None  # from the server's return until nothing was on its way any more

    @property
    def holds(self) -> bool:
        """No request failed of it, the lag was visible, and it went away."""
        return (
            self.asked > 0 and not self.failed and self.lag_seconds > 0.5 * self.seconds and bool(self.drained_seconds)
        )

    def line(self) -> str:
        """The figures in one line."""
        drained = f"drained {self.drained_seconds:.1f} s after its return" if self.drained_seconds else "NOT DRAINED"
        return (
            f"{self.kind} gone for {self.seconds:g} s: {self.asked} requests, {self.failed} failed because of it;"
            f" health told of a lag of {self.lag_seconds:.0f} s, {drained}"
        )


def outage(ground: Ground, kind: str, seconds: float, seed: int) -> Outage:
    """Take the server away for that long, and wait for what was held meanwhile."""
    load = Load(ground.stack.url, 4, seed, tool=TOOL)
    ground.servers[kind].kill()
    load.start()
    end, lag = time.monotonic() + seconds, 0.0
    while time.monotonic() < end:
        time.sleep(1)
        lag = max(lag, _lag(ground))
    failed = sum(count for outcome, count in load.outcomes.items() if outcome.startswith(("status 5", "connection")))
    asked = load.outcomes.total()
    load.stop()
    ground.servers[kind].start()
    return Outage(kind, seconds, asked, failed, lag, _drained(ground))


def _health(ground: Ground) -> dict[str, Any]:
    found: dict[str, Any] = ground.stack.usage("health")
    return found


def _lag(ground: Ground) -> float:
    with contextlib.suppress(urllib.error.URLError, OSError):
        return float(_health(ground)["lag_seconds"])
    return 0.0


def _drained(ground: Ground) -> float | None:
    began = time.monotonic()
    while time.monotonic() - began < DRAIN_SECONDS:
        with contextlib.suppress(urllib.error.URLError, OSError):
            told = _health(ground)
            if told["bus_connected"] and not told["lag_events"] and not told["lag_seconds"]:
                return time.monotonic() - began
        time.sleep(0.1)
    return None
