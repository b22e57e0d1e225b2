"""Holders: how concentrated the ownership is, raw and without addresses that hold for many."""

from typing import Any

from services.reports import metrics
from services.reports.chapters.material import Material

PUBLIC_TAGS = ("burn", "bridge", "exchange", "pool", "staking", "lending", "contract", "null", "dead", "lock")
LONG_LIST, LONGER_LIST = 10, 50
PUBLIC_ADDRESSES = {
    "0x0000000000000000000000000000000000000000",
    "0x000000000000000000000000000000000000dead",
}


def write(material: Material) -> None:
    source, holders = _best_list(material)
    reason = material.reason("ethplorer", "goplus")
    book = material.book
    count_source, count = _count(material)
    book.add("holder_count", count, "count", count_source, reason=reason)
    shares = [holder["share"] for holder in holders]
    for size in (1, 10, 50):
        part = metrics.top_share(shares, size)
        why = "list_too_short" if shares else reason
        book.add(f"top_{size}", part, "percent", source, formula=f"sum of the largest {size}", reason=why)
    own = [holder["share"] for holder in holders if not is_public(holder)]
    # Without the tags nothing tells an exchange from a whale; the raw figure must not stand in for this one.
    tagged = bool(material.of("goplus").get("holders")) or any(holder.get("tag") for holder in holders)
    part = metrics.top_share(own, 10) if tagged else None
    formula = "the same without exchanges, bridges, pools, burn addresses"
    why = "no_tags" if shares and not tagged else "list_too_short" if shares else reason
    book.add("top_10_adjusted", part, "percent", source, formula=formula, reason=why)
    _concentration(material, source, shares, "list_too_short" if shares else reason)
    for name in ("owner", "creator"):
        part = material.of("goplus").get(f"{name}_share")
        book.add(f"{name}_share", part, "percent", "goplus", reason=material.reason("goplus"))
    _show(material, holders)


def _concentration(material: Material, source: str, shares: list[float], why: str) -> None:
    """Only of a list long enough: of the first few holders alone it would be another figure, and a kinder one."""
    squared = sum(share**2 for share in shares) if len(shares) >= LONG_LIST else None
    formula = "sum of squared shares, listed holders"
    material.book.add("holder_hhi", squared, "index1", source, formula=formula, reason=why)
    uneven = metrics.gini(shares) if len(shares) >= LONGER_LIST else None
    material.book.add("holder_gini", uneven, "ratio", source, formula="Gini of the list", reason=why)


def is_public(holder: dict[str, Any]) -> bool:
    """Whether an address holds for many people, or for none."""
    tag = str(holder.get("tag") or "").lower()
    return str(holder.get("address")).lower() in PUBLIC_ADDRESSES or any(word in tag for word in PUBLIC_TAGS)


def _best_list(material: Material) -> tuple[str, list[dict[str, Any]]]:
    longest = material.of("ethplorer").get("holders") or []
    tagged = material.of("goplus").get("holders") or []
    if not longest:
        return "goplus", sorted(tagged, key=lambda holder: -holder["share"])
    tags = {str(holder["address"]).lower(): holder for holder in tagged}
    merged = [{**tags.get(str(holder["address"]).lower(), {}), **holder} for holder in longest]
    return "ethplorer", sorted(merged, key=lambda holder: -holder["share"])


def _count(material: Material) -> tuple[str, float | None]:
    for source in ("ethplorer", "goplus", "honeypot"):
        found = material.of(source).get("holder_count")
        if found:
            return source, float(found)
    return "ethplorer", None


def _show(material: Material, holders: list[dict[str, Any]]) -> None:
    rows = [[_name(holder), holder["share"]] for holder in holders[:10]]
    if len(rows) > 1:
        material.chart("holders", "holders", "ranks", unit="percent", rows=rows)


def _name(holder: dict[str, Any]) -> str:
    address = str(holder.get("address") or "?")
    short = f"{address[:6]}…{address[-4:]}" if len(address) > 12 else address
    return f"{short} · {holder['tag']}" if holder.get("tag") else short
