"""What a dashboard or an exploration asks: whose usage, which dimension, which names. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.usage.access import Reader
from shared.errors import Forbidden, Unprocessable

DIMENSIONS = ("model", "function", "user", "anchor", "provider")


@dataclass(frozen=True)
class Filter:
    """The scope of a question, and at most one dimension narrowed to some names."""

    scope: str
    by: str | None = None
    names: tuple[str, ...] = ()

    @property
    def dimension(self) -> str:
        """Where the filtered totals are read."""
        return self.by or "total"

    @property
    def total_names(self) -> list[str]:
        """The names whose sum is the total."""
        return list(self.names) if self.by else ["model"]

    def names_of(self, dimension: str) -> list[str] | None:
        """The names to read of a dimension: all, or those that the filter leaves."""
        return list(self.names) if self.by == dimension else None

    def answers(self, dimension: str) -> bool:
        """Whether the rollups can break this question down by that dimension."""
        return self.by in (None, dimension)


def filter_of(reader: Reader, keys: Sequence[str], wanted: Mapping[str, Sequence[str]]) -> Filter:
    """The filter of a request; raises Unprocessable for what rollups do not hold, Forbidden for others' keys."""
    scope = _scope(reader, keys)
    narrowed = {name: tuple(values) for name, values in wanted.items() if values}
    if len(narrowed) > 1:
        raise Unprocessable("Filter by one of model, function, user, anchor and provider at a time.", param="filters")
    for name, values in narrowed.items():
        return Filter(scope, name, values)
    return Filter(scope)


def _scope(reader: Reader, keys: Sequence[str]) -> str:
    if not reader.sees_all:
        if any(key != reader.key_id for key in keys):
            raise Forbidden("A key sees its own usage only.")
        return reader.scope
    if len(keys) > 1:
        raise Unprocessable("Filter by one key at a time.", param="key")
    return keys[0] if keys else ""
