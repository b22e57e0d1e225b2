"""Reads values out of untrusted JSON: wrong types, hostile text and impossible numbers become None."""

import unicodedata
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Any

DAY_MS = 86_400_000
EDGE_MS = 3_600_000
MAX_TEXT = 120
LARGEST = 2.0**256  # no contract counts further
ROUNDING = 0.01


def mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def sequence(value: Any, limit: int = 5_000) -> list[Any]:
    return value[:limit] if isinstance(value, list) else []


def dig(value: Any, *path: str) -> Any:
    for step in path:
        value = mapping(value).get(step)
    return value


def number(value: Any) -> float | None:
    """A finite number, also from a numeric string; booleans are not numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if isfinite(found) and abs(found) <= LARGEST else None


def change(value: Any) -> float | None:
    """A change in percent: nothing loses more than all of itself."""
    found = number(value)
    return found if found is not None and found >= -100 else None


def amount(value: Any) -> float | None:
    """A number that cannot sensibly be negative."""
    found = number(value)
    return found if found is not None and found >= 0 else None


def price(value: Any) -> float | None:
    found = number(value)
    return found if found is not None and found > 0 else None


def share(value: Any, *, percent: bool = False) -> float | None:
    """A fraction of one; providers that speak percent say so."""
    found = amount(value)
    if found is None:
        return None
    fraction = found / 100 if percent else found
    return fraction if fraction <= 1.000001 else None


def whole(holders: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those who hold something, unless together they hold more than there is."""
    owning = [holder for holder in holders if holder["share"]]
    return owning if sum(holder["share"] for holder in owning) <= 1 + ROUNDING else []


def flag(value: Any) -> bool | None:
    """GoPlus answers "0" and "1", others true and false; anything else is unknown."""
    if value in (True, False):
        return bool(value)
    return {"1": True, "0": False}.get(value) if isinstance(value, str) else None


def text(value: Any, limit: int = MAX_TEXT) -> str | None:
    """Visible characters only: controls and direction overrides are how names lie."""
    if not isinstance(value, str):
        return None
    visible = "".join(c for c in value[: limit * 4] if unicodedata.category(c)[0] != "C")
    cleaned = " ".join(visible.split())
    return cleaned[:limit] or None


def moment(value: Any, *, milliseconds: bool = False) -> str | None:
    """An ISO instant from a Unix stamp or an ISO string."""
    try:
        if isinstance(value, str) and not value.replace(".", "").isdigit():
            found = datetime.fromisoformat(value)
            found = found if found.tzinfo else found.replace(tzinfo=UTC)
        else:
            stamp = number(value)
            if stamp is None or stamp <= 0:
                return None
            found = datetime.fromtimestamp(stamp / (1000 if milliseconds else 1), UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return found.astimezone(UTC).isoformat(timespec="seconds")


def daily(points: Any, now_ms: int, *, positive: bool = True) -> dict[int, float]:
    """Closes by UTC day from `[[ms, value]]`: midnight belongs to its day; the live point is no close."""
    read = price if positive else amount
    stamped = [(ms, value) for ms, value in _pairs(points, read) if 0 < ms <= now_ms + DAY_MS]
    closes: dict[int, float] = {}
    for ms, value in stamped:
        if ms % DAY_MS <= EDGE_MS:
            closes.setdefault(ms // DAY_MS, value)
    days = {ms // DAY_MS for ms, _ in stamped}
    if len(closes) * 2 >= len(days):
        return closes
    # Stamps away from midnight: take each finished day's last value instead.
    today = now_ms // DAY_MS
    return {ms // DAY_MS: value for ms, value in stamped if ms // DAY_MS < today}


def _pairs(points: Any, read: Any) -> Iterable[tuple[int, float]]:
    for point in sequence(points):
        if isinstance(point, list) and len(point) >= 2:
            stamp, value = number(point[0]), read(point[1])
            if stamp is not None and value is not None:
                yield int(stamp), value


def columns(**series: Mapping[int, float]) -> dict[str, list[Any]]:
    """Day-keyed series as parallel columns over the first one's days, holes as None."""
    names = list(series)
    days = sorted(series[names[0]])
    return {"day": days, **{name: [series[name].get(day) for day in days] for name in names}}
