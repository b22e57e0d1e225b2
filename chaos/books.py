"""What must be true when the dust has settled: ledger, sums, the provider's own books and the tool's agree."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg

from chaos.load import MARK
from tests.system.stack import Stack, get

# What the ledger itself would call doubtful: numbers missing in a producer's sequence, and what could not be booked.
DOUBTS = ("gaps", "quarantined", "unpriced")


@dataclass
class Kept:
    """One kind of call, its request's mark by mark: in the books of whoever answered, and in the ledger."""

    answered: Counter[str]
    booked: Counter[str]
    unreached: Counter[str]  # booked, and cut so early that whoever answers may never have seen them

    @property
    def lost(self) -> int:
        """Calls that were answered and that no event tells of."""
        return (self.answered - self.booked).total()

    @property
    def doubled(self) -> int:
        """Events beyond one per call."""
        return (self.booked - self.answered - self.unreached).total()

    def line(self, name: str) -> str:
        """The figures in one line."""
        unseen = (self.booked - self.answered).total()
        return (
            f"{name:<15} {self.answered.total()} answered, {self.booked.total()} booked"
            f" ({unseen} cut before they were seen), lost {self.lost}, doubled {self.doubled}"
        )


@dataclass
class Verdict:
    """The figures that are printed, and whether they are what was promised."""

    models: Kept
    tools: Kept
    repeats: int
    interrupted: int
    tools_rerun: int
    whole: int
    mispriced: int
    summed: tuple[int, Decimal]
    rolled: tuple[int, Decimal]
    proof: dict[str, Any]
    health: dict[str, Any]

    @property
    def holds(self) -> bool:
        wrong = (self.models.lost, self.models.doubled, self.tools.lost, self.tools.doubled, self.repeats)
        return (
            not any(wrong)
            and not self.tools_rerun
            and not self.mispriced
            and self.summed == self.rolled
            and self.proof["ok"]
            and not any(self.health[name] for name in DOUBTS)
            and self.models.booked.total() > 0
            and self.tools.booked.total() > 0
        )

    def lines(self) -> list[str]:
        return [
            self.models.line("upstream calls"),
            self.tools.line("tool calls"),
            f"one id twice    {self.repeats}; interrupted {self.interrupted}; tools run twice for one call {self.tools_rerun}",
            f"whole answers   {self.whole}, of which {self.mispriced} with tokens other than the provider's books have",
            f"events' sum     {self.summed[0]} calls, {self.summed[1]} CNY",
            f"rollups' sum    {self.rolled[0]} calls, {self.rolled[1]} CNY",
            f"health          {', '.join(f'{name} {self.health[name]}' for name in DOUBTS)}",
            f"proof           {self.proof['events']} events against {self.proof['buckets']} sums, {self.proof['drift_rows']} differ",
        ]


def judge(stack: Stack, database: str, tool_books: Path) -> Verdict:
    """Compare the books."""
    calls = stack.provider_books()
    rows = asyncio.run(_rows(database))
    models = [row for row in rows if row["kind"] == "model" and row["provider"] != "demo"]
    tools = [row for row in rows if row["kind"] == "tool"]
    noted = Counter(tool_books.read_text().split())
    whole = [row for row in models if row["status"] == "ok" and row["usage_source"] == "provider"]
    booked = Counter((row["user_id"], row["model"], row["input_tokens"], row["output_tokens"]) for row in whole)
    told = Counter((_mark(call), call["model"], call["input_tokens"], call["output_tokens"]) for call in calls)
    return Verdict(
        models=Kept(
            answered=Counter(_mark(call) for call in calls),
            booked=_by_mark(models),
            # Cut before any byte came: it may never have reached the provider.
            unreached=_by_mark(row for row in models if row["status"] != "ok" and row["input_tokens"] is None),
        ),
        tools=Kept(
            answered=noted,
            booked=_by_mark(tools),
            unreached=_by_mark(row for row in tools if row["status"] != "ok"),
        ),
        repeats=len(rows) - len({row["event_id"] for row in rows}),
        interrupted=sum(row["status"] == "interrupted" for row in rows),
        tools_rerun=sum(count - 1 for count in noted.values()),
        whole=sum(booked.values()),
        mispriced=sum((booked - told).values()),
        summed=(len(models), Decimal(sum(row["base_nano"] or 0 for row in models)).scaleb(-9).normalize()),
        rolled=_rolled(stack),
        proof=get(f"{stack.url}/api/ai_usage/proof", body={}),
        health=stack.usage("health"),
    )


def _mark(call: dict[str, Any]) -> str:
    found = MARK.search(call["body"])
    return found[0] if found else "unmarked"


def _by_mark(rows: Iterable[Any]) -> Counter[str]:
    return Counter(row["user_id"] or "unmarked" for row in rows)


def _rolled(stack: Stack) -> tuple[int, Decimal]:
    days = [stack.usage(f"stats/daily?days_ago={ago}") for ago in (0, 1)]
    cost = sum((Decimal(str(day["total_cost"])) for day in days), Decimal(0))
    return sum(int(day["total_calls"]) for day in days), cost.normalize()


async def _rows(database: str) -> Sequence[Any]:
    connection = await asyncpg.connect(database.replace("postgresql+asyncpg://", "postgresql://"))
    try:
        return list(await connection.fetch("SELECT * FROM usage_events"))
    finally:
        await connection.close()
