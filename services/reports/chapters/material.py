"""What every chapter works from and writes to."""

from dataclasses import dataclass, field
from typing import Any

from services.reports.facts import Book
from services.reports.history import History


@dataclass(slots=True)
class Material:
    """Findings by source (those that answered), the price history, and what the chapters leave behind."""

    data: dict[str, dict[str, Any]]
    book: Book
    kind: str
    days: int
    as_of_day: int
    history: History
    benchmarks: dict[str, History]
    charts: list[dict[str, Any]] = field(default_factory=list)
    tables: list[dict[str, Any]] = field(default_factory=list)
    alarms: list[dict[str, Any]] = field(default_factory=list)
    missing_reason: dict[str, str] = field(default_factory=dict)

    def of(self, source: str) -> dict[str, Any]:
        return self.data.get(source, {})

    def reason(self, *sources: str) -> str:
        """Why a figure is missing: its source failed, or answered without it."""
        for source in sources:
            if source in self.missing_reason:
                return self.missing_reason[source]
        return "not_given"

    def chart(self, name: str, chapter: str, kind: str, **rest: Any) -> None:
        self.charts.append({"id": name, "chapter": chapter, "kind": kind, **rest})

    def table(self, name: str, chapter: str, columns: list[tuple[str, str]], rows: list[list[Any]]) -> None:
        """Columns are (wording key, unit of the cells)."""
        if rows:
            self.tables.append({"id": name, "chapter": chapter, "columns": [list(c) for c in columns], "rows": rows})


def rounded(values: Any, digits: int = 6) -> list[float | None]:
    """Plain floats for a chart, a few significant digits, holes kept."""
    return [None if value != value else float(f"{value:.{digits}g}") for value in values]
