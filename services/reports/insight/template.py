"""Writes claims by rule: the text of a report without a model, and what stands in where a model's text fell through."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from services.reports.facts import Fact
from services.reports.insight.checker import OPERATORS
from services.reports.insight.claims import Claim

PATH = Path(__file__).parent / "statements.json"
MOST = 9


@lru_cache(maxsize=1)
def statements() -> list[dict[str, Any]]:
    read: list[dict[str, Any]] = msgspec.json.decode(PATH.read_bytes())
    return read


def claims(facts: Mapping[str, Fact], chapters: list[str], language: str) -> list[Claim]:
    """The statements whose conditions hold, in the order of the list, which is the order of weight."""
    found = [
        Claim(statement["chapter"], statement[language], statement["stance"])
        for statement in statements()
        if statement["chapter"] in (*chapters, "market") and _applies(statement, facts)
    ]
    return found[:MOST]


def _applies(statement: dict[str, Any], facts: Mapping[str, Fact]) -> bool:
    if any(name in facts and facts[name].value is not None for name in statement.get("not", [])):
        return False
    return all(_holds(facts.get(name), operator, edge) for name, operator, edge in statement["when"])


def _holds(fact: Fact | None, operator: str, edge: Any) -> bool:
    if fact is None or fact.value is None:
        return False
    if operator == "is":
        return fact.value is edge
    if isinstance(fact.value, str):
        return False
    return OPERATORS[operator](fact.value, edge)
