"""What must be true when the dust has settled: the ledger, its sums and the provider's own books agree."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Any

import asyncpg

from tests.system.stack import Stack


@dataclass
class Verdict:
    """The figures that are printed, and whether they are what was promised."""

    provider_calls: int
    events: int
    distinct: int
    interrupted: int
    unseen: int
    rollup_calls: int
    whole: int
    mispriced: int

    @property
    def lost(self) -> int:
        """Calls the provider answered that no event tells of."""
        return max(0, self.provider_calls - self.events)

    @property
    def doubled(self) -> int:
        """Events beyond one per call; attempts that died before the provider saw them are no doubles."""
        return (self.events - self.distinct) + max(0, self.events - self.provider_calls - self.unseen)

    @property
    def holds(self) -> bool:
        return not self.lost and not self.doubled and self.rollup_calls == self.events and not self.mispriced

    def lines(self) -> list[str]:
        return [
            f"provider's calls      {self.provider_calls}",
            f"events in the ledger  {self.events} ({self.interrupted} interrupted, {self.unseen} of them before the provider was reached)",
            f"lost                  {self.lost}",
            f"doubled               {self.doubled}",
            f"rollups               {self.rollup_calls} calls",
            f"whole answers         {self.whole}, of which {self.mispriced} with tokens other than the provider's books have",
        ]


def judge(stack: Stack, database: str) -> Verdict:
    """Compare the three books."""
    calls = stack.provider_books()
    rows = asyncio.run(_rows(database))
    models = [row for row in rows if row["kind"] == "model" and row["provider"] != "demo"]
    interrupted = [row for row in models if row["status"] == "interrupted"]
    # Cut before any byte came: it may never have reached the provider.
    unseen = [row for row in models if row["status"] != "ok" and row["input_tokens"] is None]
    whole = [row for row in models if row["status"] == "ok" and row["usage_source"] == "provider"]
    booked = Counter((row["model"], row["input_tokens"], row["output_tokens"]) for row in whole)
    told = Counter((call["model"], call["input_tokens"], call["output_tokens"]) for call in calls)
    return Verdict(
        provider_calls=len(calls),
        events=len(models),
        distinct=len({row["event_id"] for row in models}),
        interrupted=len(interrupted),
        unseen=len(unseen),
        rollup_calls=_rolled(stack),
        whole=sum(booked.values()),
        mispriced=sum((booked - told).values()),
    )


def _rolled(stack: Stack) -> int:
    return int(stack.usage("stats/daily?days_ago=0")["total_calls"]) + int(
        stack.usage("stats/daily?days_ago=1")["total_calls"]
    )


async def _rows(database: str) -> list[Any]:
    connection = await asyncpg.connect(database.replace("postgresql+asyncpg://", "postgresql://"))
    try:
        return list(await connection.fetch("SELECT * FROM usage_events"))
    finally:
        await connection.close()
