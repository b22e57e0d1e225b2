"""Use in decentralised finance: value locked, fees earned and what the market pays for them."""

from services.reports import metrics
from services.reports.chapters.material import Material

SOURCE = "defillama"
MONTHS_PER_YEAR = 365 / 30


def write(material: Material) -> None:
    protocol = material.of(SOURCE).get("protocol") or {}
    reason = material.reason(SOURCE) if not protocol else "not_given"
    if not protocol and SOURCE in material.data:
        reason = "no_protocol"
    book, cap = material.book, material.book.number("market_cap")
    locked = protocol.get("tvl")
    book.add("tvl", locked, "usd", SOURCE, reason=reason)
    for span in ("1d", "7d", "30d"):
        change = protocol.get(f"change_{span}")
        value = change / 100 if change is not None else None
        book.add(f"tvl_change_{span}", value, "change", SOURCE, reason=reason)
    ratio = cap / locked if cap and locked else None
    book.add("cap_to_tvl", ratio, "ratio", SOURCE, formula="market cap / TVL", reason=reason)
    for name, label in (("fees_30d", "price_to_fees"), ("revenue_30d", "price_to_sales")):
        earned = protocol.get(name)
        book.add(name, earned, "usd", SOURCE, reason=reason)
        multiple = cap / (earned * MONTHS_PER_YEAR) if cap and earned else None
        book.add(label, multiple, "ratio", SOURCE, formula="market cap / (30 days * 365/30)", reason=reason)
    chains = protocol.get("chains") or {}
    spread = metrics.herfindahl(list(chains.values())) if chains else None
    book.add("tvl_chain_hhi", spread, "index1", SOURCE, formula="sum of squared chain shares", reason=reason)
    ranked = sorted(chains.items(), key=lambda item: -item[1])[:8]
    if len(ranked) > 1:
        material.chart("tvl", "defi", "ranks", unit="usd", rows=[list(row) for row in ranked])
