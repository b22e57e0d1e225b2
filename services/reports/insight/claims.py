"""A claim is one sentence whose values are placeholders; code puts the figures in, so none can be invented."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from services.reports import figures
from services.reports.facts import Fact

PLACEHOLDER = re.compile(r"\{\{f:([a-z0-9_]+)(\|size)?\}\}")
STANCES = ("positive", "negative", "neutral")


class Claim(msgspec.Struct, frozen=True):
    """`{{f:id}}` shows the value with its sign, `{{f:id|size}}` without, for use after a word of direction."""

    chapter: str
    text: str
    stance: str = "neutral"


class Insight(msgspec.Struct):
    """The finished text of a report and how it came about."""

    claims: list[Claim]
    by: str
    model: str | None = None
    made: int = 0
    kept: int = 0
    rejected: list[dict[str, Any]] = []
    prompt_sha256: str | None = None
    warning: str | None = None
    usage: dict[str, Any] = {}


def by_id(facts: Iterable[Fact]) -> dict[str, Fact]:
    return {fact.id: fact for fact in facts}


def cited(text: str) -> list[str]:
    return [match.group(1) for match in PLACEHOLDER.finditer(text)]


def pieces(text: str, facts: Mapping[str, Fact], language: str) -> list[tuple[str, str | None]]:
    """The text in pieces, each with the id of the fact it shows, or None for plain words."""
    found: list[tuple[str, str | None]] = []
    position = 0
    for match in PLACEHOLDER.finditer(text):
        if match.start() > position:
            found.append((text[position : match.start()], None))
        found.append((_shown(facts.get(match.group(1)), bool(match.group(2)), language), match.group(1)))
        position = match.end()
    if position < len(text):
        found.append((text[position:], None))
    return found


def fill(text: str, facts: Mapping[str, Fact], language: str) -> str:
    return "".join(piece for piece, _ in pieces(text, facts, language))


def _shown(fact: Fact | None, size: bool, language: str) -> str:  # noqa: FBT001  # a private switch
    if fact is None:
        return figures.MISSING
    value, unit = fact.value, fact.unit
    if size and isinstance(value, int | float) and not isinstance(value, bool):
        value = abs(value)
        unit = "percent" if unit == "change" else unit
        return figures.write(value, unit, language).lstrip("+")
    return figures.write(value, unit, language)
