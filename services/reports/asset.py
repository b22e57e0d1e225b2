"""What kind of asset a token is, which decides the chapters: a Sharpe ratio says nothing of a stablecoin."""

from collections.abc import Sequence
from statistics import median
from typing import Any

STABLE = "stable"
WRAPPED = "wrapped"
STAKED = "staked"
PROTOCOL = "protocol"
MEME = "meme"
GENERAL = "general"

_BY_CATEGORY = (
    (WRAPPED, ("wrapped", "bridged")),
    (STAKED, ("liquid staking", "liquid staked", "restaking")),
    (MEME, ("meme",)),
    (PROTOCOL, ("decentralized finance", "governance", "defi", "lending", "exchange-based")),
)
CHAPTERS = {
    STABLE: ["peg", "flows", "liquidity", "supply", "holders", "security"],
    GENERAL: ["market", "risk", "comovement", "liquidity", "supply", "holders", "defi", "security"],
}


def classify(identity: dict[str, Any], stable: dict[str, Any] | None, prices: Sequence[float]) -> tuple[str, str]:
    """The class and the reason for it, as a key of the wording."""
    categories = " | ".join(identity.get("categories") or []).lower()
    near_one = bool(prices) and 0.8 <= median(prices[-90:]) <= 1.2
    # A label alone is not enough: euro coins and failed pegs are no dollar pegs.
    if (stable and stable.get("peg") == "peggedUSD") or "stablecoin" in categories:
        if near_one or not prices:
            return STABLE, "stable_listed"
        return GENERAL, "stable_off_peg"
    for kind, words in _BY_CATEGORY:
        if any(word in categories for word in words):
            return kind, "category"
    if str(identity.get("name") or "").lower().startswith("wrapped "):
        return WRAPPED, "name"
    return GENERAL, "default"


def chapters_for(kind: str) -> list[str]:
    return list(CHAPTERS.get(kind, CHAPTERS[GENERAL]))
