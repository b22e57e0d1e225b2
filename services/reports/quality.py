"""How good the data is: what share was there, how fresh, and where sources disagree."""

from datetime import UTC, datetime
from typing import Any

from services.reports.chapters.material import Material
from services.reports.sources.base import Finding

# Reasons for which nobody is to blame.
EXPECTED = ("no_protocol", "no_limit", "never_left", "too_short")
# Prices are told every few minutes; a day-old one is another day's.
FRESH_HOURS = 24
# The newest close is of last midnight, or of the one before until the provider has it.
FRESH_CLOSE_HOURS = 48
GRADES = ((0.85, "A"), (0.7, "B"), (0.5, "C"))
# Relative difference beyond which two sources are shown as disagreeing.
TOLERANCE = {"price": 0.005, "supply": 0.01, "holder_count": 0.02, "sell_tax": 0.01}
# The fact that shows the quantity, if any source's value was good enough for it.
SHOWN = {"price": "price", "supply": "supply_total", "holder_count": "holder_count"}


def disagreements(material: Material) -> list[dict[str, Any]]:
    """The same quantity from several sources, with the spread and the one that was used."""
    told = {
        "price": _price(material),
        "supply": {
            "coingecko": (material.of("coingecko").get("market") or {}).get("total"),
            "ethplorer": material.of("ethplorer").get("total_supply"),
            "goplus": material.of("goplus").get("total_supply"),
        },
        "holder_count": {
            source: material.of(source).get("holder_count") for source in ("ethplorer", "goplus", "honeypot")
        },
        "sell_tax": {source: (material.of(source).get("taxes") or {}).get("sell") for source in ("goplus", "honeypot")},
    }
    units = {"price": "usd", "supply": "tokens", "holder_count": "count", "sell_tax": "percent"}
    rows = []
    for quantity, values in told.items():
        known = {source: value for source, value in values.items() if value is not None}
        if len(known) < 2:
            continue
        spread = _spread(quantity, list(known.values()))
        rows.append(
            {
                "quantity": quantity,
                "unit": units[quantity],
                "values": [[source, value] for source, value in known.items()],
                "spread": spread,
                "agree": spread <= TOLERANCE[quantity],
                "used": "worst" if quantity == "sell_tax" else material.book.source(SHOWN[quantity]),
            }
        )
    return rows


def _price(material: Material) -> dict[str, float | None]:
    pools = material.of("dexscreener").get("pools") or []
    deepest = next((pool["price_usd"] for pool in pools if pool["price_usd"]), None)
    return {
        "coingecko": (material.of("coingecko").get("market") or {}).get("price"),
        "defillama": (material.of("defillama").get("quote") or {}).get("price"),
        "dexscreener": deepest,
        "ethplorer": material.of("ethplorer").get("price"),
    }


def _spread(quantity: str, values: list[float]) -> float:
    """Relative to the middle, except for taxes, which are shares already."""
    low, high = min(values), max(values)
    if quantity == "sell_tax":
        return high - low
    middle = sorted(values)[len(values) // 2]
    return (high - low) / middle if middle else 0.0


def provider_changes(material: Material) -> list[dict[str, Any]]:
    """Where the provider's own change differs from the one computed from closes by over half a point."""
    changes = (material.of("coingecko").get("market") or {}).get("changes") or {}
    rows = []
    for days, percent in changes.items():
        ours = material.book.number(f"return_{days}d")
        if percent is None or ours is None:
            continue
        gap = abs(percent / 100 - ours)
        # Over a day the provider's rolling window and our two closes are different spans.
        if gap > 0.005 and days != "1":
            rows.append({"fact": f"return_{days}d", "ours": ours, "theirs": percent / 100, "gap": gap})
    return rows


def late(findings: list[Finding], as_of_ms: int) -> list[dict[str, Any]]:
    """Sources whose data was old when the report was asked for, by their own stamp or their newest close."""
    rows = []
    for finding in findings:
        for stamp, limit in ((finding.as_of, FRESH_HOURS), (_newest_close(finding), FRESH_CLOSE_HOURS)):
            hours = (as_of_ms / 1000 - datetime.fromisoformat(stamp).timestamp()) / 3600 if stamp else 0.0
            if finding.status == "ok" and hours > limit:
                rows.append({"source": finding.source, "as_of": stamp, "hours": round(hours, 1)})
                break
    return rows


def _newest_close(finding: Finding) -> str | None:
    days = (finding.data.get("history") or {}).get("day")
    return datetime.fromtimestamp(days[-1] * 86_400, UTC).isoformat(timespec="seconds") if days else None


def grade(
    material: Material, statuses: list[str], rows: list[dict[str, Any]], stale: list[dict[str, Any]]
) -> dict[str, Any]:
    """Coverage of facts and sources, less what disagrees, is old or was interpolated, as a letter."""
    filled, days = material.history.filled, len(material.history)
    facts = [fact for fact in material.book if fact.reason not in EXPECTED]
    covered = sum(fact.value is not None for fact in facts) / len(facts) if facts else 0.0
    asked = [status for status in statuses if status != "skipped"]
    answered = sum(status in ("ok", "unknown") for status in asked) / len(asked) if asked else 0.0
    differing = sum(not row["agree"] for row in rows)
    doubt = 0.05 * differing + 0.1 * len(stale) + (filled / days if days else 0.0)
    worth = max(0.0, 0.6 * covered + 0.4 * answered - doubt)
    letter = next((letter for edge, letter in GRADES if worth >= edge), "D")
    return {
        "grade": letter,
        "facts_known": round(covered, 4),
        "sources_answered": round(answered, 4),
        "filled_days": filled,
        "disagreements": differing,
        "late": stale,
    }
