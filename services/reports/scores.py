"""Scores per dimension from published breakpoints: missing data lowers coverage, and too much of it leaves no score."""

from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from services.reports.facts import Book

BREAKPOINTS = Path(__file__).parent / "breakpoints.json"
NEEDED_COVERAGE = 0.7
NEEDED_PART = 0.5
PENALTY = {"critical": 100.0, "high": 30.0, "info": 2.0, "issuer": 4.0}


@lru_cache(maxsize=1)
def breakpoints() -> dict[str, Any]:
    read: dict[str, Any] = msgspec.json.decode(BREAKPOINTS.read_bytes())
    return read


def between(points: list[list[float]], value: float) -> float:
    """Piecewise linear through `[value, score]` points, flat beyond the ends."""
    if value <= points[0][0]:
        return points[0][1]
    for (left, low), (right, high) in pairwise(points):
        if value <= right:
            return low + (high - low) * (value - left) / (right - left)
    return points[-1][1]


def score(book: Book, kind: str, alarms: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], float | None]:
    """Every dimension of the asset's class, and a total only where enough of the checks had data.

    What the class is about, which comes first, and security are not made up for by the rest.
    """
    rules = breakpoints()
    wanted = rules["classes"].get(kind, rules["classes"]["general"])
    rows = [_dimension(name, rules["dimensions"][name], book) for name in wanted]
    rows.append(_security(book, alarms))
    coverage = sum(row["coverage"] for row in rows) / len(rows)
    known = [row["score"] for row in rows if row["score"] is not None]
    # A token that can trap its buyers is not saved by being liquid: the worst dimension pulls the total.
    total = 0.5 * sum(known) / len(known) + 0.5 * min(known) if known else None
    essential = None not in (rows[0]["score"], rows[-1]["score"])
    return rows, round(total, 1) if total is not None and essential and coverage >= NEEDED_COVERAGE else None


def _dimension(name: str, parts: list[dict[str, Any]], book: Book) -> dict[str, Any]:
    known = [(part, value) for part in parts if (value := book.number(part["fact"])) is not None]
    weight = sum(part["weight"] for part in parts)
    covered = sum(part["weight"] for part, _ in known)
    worth = sum(
        part["weight"] * between(part["points"], abs(value) if part.get("absolute") else value) for part, value in known
    )
    return {
        "dimension": name,
        # The rest of a dimension may be its worst: less than half of it is no score.
        "score": round(worth / covered, 1) if covered / weight >= NEEDED_PART else None,
        "coverage": round(covered / weight, 4),
        "facts": [part["fact"] for part, _ in known],
    }


def _security(book: Book, alarms: list[dict[str, Any]]) -> dict[str, Any]:
    coverage = book.number("checks_known") or 0.0
    # A check that was not made may be the one that fails: what was not looked for does not count as absent.
    if book.number("alarms_critical") is None and not book.number("alarms_high"):
        return {"dimension": "security", "score": None, "coverage": round(coverage, 4), "facts": []}
    worth = max(0.0, 100.0 - sum(PENALTY[alarm["severity"]] for alarm in alarms))
    return {
        "dimension": "security",
        "score": round(worth, 1),
        "coverage": round(coverage, 4),
        "facts": ["alarms_critical", "alarms_high", "sell_tax", "honeypot"],
    }
