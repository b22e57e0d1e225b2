"""Supply: how many tokens there are, how many there may be, and how fast the number grows."""

from services.reports import metrics
from services.reports.chapters.material import Material, rounded

SOURCE = "coingecko"


def write(material: Material) -> None:
    book = material.book
    market = material.of(SOURCE).get("market") or {}
    reason = material.reason(SOURCE)
    uncapped = market.get("uncapped")
    for name in ("circulating", "total", "max"):
        why = "no_limit" if name == "max" and uncapped else reason
        book.add(f"supply_{name}", market.get(name), "tokens", SOURCE, reason=why)
    limit = market.get("max") or market.get("total")
    circulating = market.get("circulating")
    ratio = circulating / limit if circulating and limit else None
    # More in circulation than exists is a provider's slip, not a fact.
    sane = ratio if ratio is not None and ratio <= 1.01 else None
    book.add("supply_ratio", sane, "percent", SOURCE, formula="circulating / max (or total)", reason=reason)
    cap, diluted = book.number("market_cap"), book.number("diluted_value")
    gap = diluted / cap - 1 if cap and diluted else None
    book.add("dilution", gap, "change", SOURCE, formula="diluted value / market cap - 1", reason=reason)
    book.add("uncapped", uncapped, "flag", SOURCE, reason=reason)
    _growth(material, reason)


def _growth(material: Material, reason: str) -> None:
    history = material.history
    supply = metrics.implied_supply(history.caps, history.prices)
    known = bool(len(supply)) and not bool((supply[-366:] != supply[-366:]).any())
    why = "too_short" if known else reason
    formula = "(S_T / S_T-k)^(365/k) - 1, S = cap / price"
    for span in (30, 90, 365):
        change = metrics.supply_change(supply, span) if known else None
        yearly = metrics.annualised(change, span) if change is not None else None
        material.book.add(f"inflation_{span}d", yearly, "change", SOURCE, formula=formula, reason=why)
    if known and material.kind != "stable" and len(history) > 2:
        shown = history.last(material.days)
        values = metrics.implied_supply(shown.caps, shown.prices)
        material.chart(
            "supply",
            "supply",
            "line",
            unit="tokens",
            days=shown.days,
            series=[{"name": "circulating", "values": rounded(values, 5)}],
        )
