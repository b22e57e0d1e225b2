"""What Prometheus is told: the names that the dashboard asks for, and no label that grows with users."""

import re
from pathlib import Path

from prometheus_client import REGISTRY, generate_latest

from services.usage import metrics
from services.usage.store import ledger
from services.usage.upkeep import Upkeep
from shared import clock
from shared.bus import Bus
from tests.fakes.ledger import Books, ended

DEPLOY = Path(__file__).parents[3] / "deploy"
CONFIG_WORDS = {"usage_monitor"}


def told() -> str:
    return generate_latest(REGISTRY).decode()


async def test_every_metric_that_dashboards_and_rules_name_exists(books: Books) -> None:
    await books.ledger.book.book([ended(producer="p", sequence=1), ended("mystery")])
    await Upkeep(books.ledger)._settle_once()
    text = told()
    asked = set()
    for path in DEPLOY.rglob("*"):
        if path.is_file() and path.suffix in (".json", ".yml", ".yaml"):
            asked |= set(re.findall(r"\busage_[a-z_]+", path.read_text(encoding="utf-8", errors="replace")))
    known = {name for name in asked - CONFIG_WORDS if name in text}
    assert asked - CONFIG_WORDS <= known


async def test_labels_hold_no_user_and_models_are_those_configured(books: Books) -> None:
    await books.ledger.book.book(
        [ended(f"model-{number}", user_id="secret-user", session_id="secret-session") for number in range(30)]
    )
    lines = [line for line in told().splitlines() if line.startswith("usage_")]
    assert not [line for line in lines if "secret" in line or "model-1" in line]
    assert [line for line in lines if line.startswith('usage_tokens_total{kind="input",model="other"}')]


async def test_the_lag_is_that_of_events_from_the_bus(books: Books) -> None:
    before = metrics.LAG._sum.get()
    await books.post("record", {"model": "qwen-plus", "timestamp": 1_700_000_000})
    assert metrics.LAG._sum.get() == before
    assert (await books.get("health"))["freshness_seconds"] == 0


async def test_a_broker_that_is_away_shows_as_lag_until_it_is_back(books: Books) -> None:
    await books.ledger.book.book([ended(at=clock.now() - 7, duration_ms=None, producer="p", sequence=1)])
    health = await books.get("health")
    assert (health["status"], health["lag_seconds"]) == ("ok", 0)
    assert 7 <= health["freshness_seconds"] < 60
    async with books.resources.database.begin() as connection:
        booked = await ledger.read_state(connection, "booked")
        await ledger.write_state(connection, "booked", {**booked, "at_us": booked["at_us"] - 90_000_000})
    assert (await books.get("health"))["freshness_seconds"] == 0
    books.resources.bus = Away(books.resources.bus)  # type: ignore[assignment]
    health = await books.get("health")
    assert health["status"] == "degraded"
    assert health["lag_seconds"] >= 90
    assert health["lag"] == 0


class Away:
    """A bus whose broker is gone."""

    connected = False

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def depth(self, _: str) -> None:
        return None

    async def close(self) -> None:
        await self._bus.close()
