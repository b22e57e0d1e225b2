"""Facts: every number a report shows, with its unit, source and time; charts and text read nothing else."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

Value = float | str | bool | None


class Fact(msgspec.Struct, frozen=True):
    """One value. Missing is None with a reason, never zero."""

    id: str
    value: Value
    unit: str
    source: str
    as_of: str | None = None
    reason: str | None = None
    formula: str | None = None


class Book:
    """The facts of one report, by id, in the order they were found; of their source's time, else of the report's."""

    def __init__(self, as_of: str | None = None, times: Mapping[str, str] | None = None) -> None:
        self._facts: dict[str, Fact] = {}
        self._as_of = as_of
        self._times = times or {}

    def add(
        self,
        name: str,
        value: Value,
        unit: str,
        source: str,
        *,
        formula: str | None = None,
        reason: str = "too_short",
    ) -> None:
        missing = reason if value is None else None
        as_of = self._times.get(source, self._as_of)
        self._facts[name] = Fact(name, value, unit, source, as_of, missing, formula)

    def number(self, name: str) -> float | None:
        fact = self._facts.get(name)
        if fact is None or isinstance(fact.value, bool | str):
            return None
        return fact.value

    def value(self, name: str) -> Value:
        fact = self._facts.get(name)
        return fact.value if fact else None

    def source(self, name: str) -> str | None:
        """Whose value the fact has; None while it has none."""
        fact = self._facts.get(name)
        return fact.source if fact and fact.value is not None else None

    def __contains__(self, name: str) -> bool:
        return name in self._facts

    def __iter__(self) -> Iterator[Fact]:
        return iter(self._facts.values())


class Analysis(msgspec.Struct):
    """Everything computed about one token; what insight and rendering are made from."""

    subject: dict[str, Any]
    facts: list[Fact]
    chapters: list[str]
    scores: list[dict[str, Any]]
    charts: list[dict[str, Any]]
    tables: list[dict[str, Any]]
    alarms: list[dict[str, Any]]
    disagreements: list[dict[str, Any]]
    quality: dict[str, Any]
    sources: list[dict[str, Any]]
