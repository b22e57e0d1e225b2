"""Is a report what its evidence comes to? The numbers of a JSON one by one, any other file as a whole."""

from typing import Any

import msgspec

Line = tuple[str, str, bool]


class NoSuchFactError(Exception):
    """Neither the report nor the evidence has it."""


def compared(told: bytes, made: bytes, form: str, wanted: list[str]) -> list[Line]:
    """What was compared, in words, and whether it is the same. Raises ValueError where a JSON is no report."""
    if form != "json":
        return [(form, "the file", told == made)]
    claimed, known = _facts(told), _facts(made)
    names = wanted or list(claimed | known)
    unknown = [name for name in names if name not in claimed and name not in known]
    if unknown:
        raise NoSuchFactError(unknown[0])
    return [_line(name, claimed.get(name), known.get(name)) for name in names]


def _facts(report: bytes) -> dict[str, Any]:
    try:
        rows = msgspec.json.decode(report)["facts"]
        return {row["id"]: {key: row.get(key) for key in ("value", "unit", "reason")} for row in rows}
    except (LookupError, TypeError, AttributeError, msgspec.DecodeError) as error:
        raise ValueError("no report as JSON") from error


def _line(name: str, told: Any, made: Any) -> Line:
    if told == made:
        return name, _shown(made), True
    return name, f"the report says {_shown(told)}, the evidence {_shown(made)}", False


def _shown(fact: Any) -> str:
    if fact is None:
        return "nothing"
    return f"{fact['value']} {fact['unit']}" if fact["value"] is not None else f"unknown ({fact['reason']})"
