"""Price and performance: what it costs, what that did over standard spans, and how much is traded."""

from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np

from services.reports import metrics
from services.reports.chapters.material import Material, rounded

SPANS = (1, 7, 30, 90, 365)
EPOCH = date(1970, 1, 1).toordinal()
SOURCE = "coingecko"


def write(material: Material) -> None:
    book, market = material.book, material.of(SOURCE).get("market") or {}
    reason = material.reason(SOURCE)
    for name in ("price", "market_cap", "diluted_value", "volume_24h"):
        book.add(name, market.get(name), "usd", SOURCE, reason=reason)
    rank = (material.of(SOURCE).get("identity") or {}).get("rank")
    book.add("rank", rank, "rank", SOURCE, reason=reason)
    for span in SPANS:
        value = metrics.period_return(material.history.prices, span)
        why = "too_short" if len(material.history) else reason
        book.add(f"return_{span}d", value, "change", SOURCE, formula="P_T / P_T-k - 1", reason=why)
    why = "too_short" if len(material.history) else reason
    growth, formula = metrics.growth_rate(material.history.prices), "(P_T / P_0)^(365/n) - 1, n of at least 365 days"
    book.add("cagr", growth, "change", SOURCE, formula=formula, reason=why)
    _extremes(material, market, reason)
    if material.kind != "stable":
        _charts(material)
        _months(material)


def _extremes(material: Material, market: dict[str, Any], reason: str) -> None:
    book, now = material.book, market.get("price")
    for name in ("ath", "atl"):
        edge, at = market.get(name), market.get(f"{name}_at")
        distance = now / edge - 1 if now and edge else None
        book.add(f"from_{name}", distance, "change", SOURCE, formula="P / extreme - 1", reason=reason)
        age = material.as_of_day - (date.fromisoformat(at[:10]).toordinal() - EPOCH) if at else None
        # A stamp after the data's own day is a skewed clock, not a record from the future.
        days = float(age) if age is not None and age >= 0 else None
        book.add(f"days_since_{name}", days, "days", SOURCE, reason=reason)


def _charts(material: Material) -> None:
    window = material.history.last(material.days)
    if len(window) < 2:
        return
    material.chart(
        "price",
        "market",
        "line",
        unit="usd",
        days=window.days,
        series=[{"name": "price", "values": rounded(window.prices), "area": True}],
    )
    known = window.volumes[~np.isnan(window.volumes)]
    if len(known) > 1:
        material.chart(
            "volume",
            "market",
            "bars",
            unit="usd",
            days=window.days,
            series=[{"name": "volume", "values": rounded(window.volumes, 4)}],
        )


def _months(material: Material) -> None:
    """Returns of calendar months, last close to last close."""
    history = material.history
    closes: dict[tuple[int, int], float] = {}
    for day, price in zip(history.days, history.prices, strict=True):
        on = date.fromordinal(day + EPOCH)
        closes[(on.year, on.month)] = float(price)
    months = sorted(closes)
    rows = [[f"{month[0]}-{month[1]:02d}", closes[month] / closes[before] - 1] for before, month in pairwise(months)]
    if len(rows) > 1:
        material.chart("months", "market", "columns", unit="change", rows=rows[-12:])
