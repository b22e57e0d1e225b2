"""DexScreener: the pools a token trades in, with their depth and their last day's trades."""

from typing import Any

from services.reports.sources.base import Asker, Finding, NotKnownError, SourceError, Subject
from services.reports.sources.reading import amount, dig, mapping, moment, price, sequence, text

NAME = "dexscreener"
BASE_URL = "https://api.dexscreener.com"


class Dexscreener:
    """Answers for forks under the same address too, so pairs of other chains are dropped."""

    name = NAME

    def __init__(self, asker: Asker) -> None:
        self._ask = asker

    async def gather(self, subject: Subject) -> Finding:
        chain = subject.chain.dexscreener
        answer = await self._ask.json(f"/token-pairs/v1/{chain}/{subject.address}")
        rows = mapping(answer).get("pairs") if isinstance(answer, dict) else answer
        if rows is not None and not isinstance(rows, list):
            raise SourceError("bad_answer")
        pools = [
            read_pool(row, subject.address)
            for row in map(mapping, sequence(rows, 200))
            if row.get("chainId") == chain and _trades(row, subject.address)
        ]
        if not pools:
            raise NotKnownError
        pools.sort(key=lambda pool: pool["liquidity_usd"] or 0.0, reverse=True)
        reason = None if any(pool["liquidity_usd"] is not None for pool in pools) else "no liquidity told"
        return Finding(NAME, "ok", {"pools": pools[:60]}, reason, endpoints=["/token-pairs/v1/{chain}/{token}"])


def _trades(row: dict[str, Any], address: str) -> bool:
    """Whether the token is in the pool at all: what others hold is no depth of ours."""
    return address in {str(dig(row, side, "address")).lower() for side in ("baseToken", "quoteToken")}


def read_pool(row: dict[str, Any], address: str) -> dict[str, Any]:
    base = str(dig(row, "baseToken", "address")).lower() == address
    return {
        "dex": text(row.get("dexId"), 30),
        "pair": text(f"{text(dig(row, 'baseToken', 'symbol'), 20)}/{text(dig(row, 'quoteToken', 'symbol'), 20)}", 42),
        "labels": [label for label in map(text, sequence(row.get("labels"), 4)) if label],
        # The quoted price is the base token's; when ours is the quote it says nothing about us.
        "price_usd": price(row.get("priceUsd")) if base else None,
        "liquidity_usd": amount(dig(row, "liquidity", "usd")),
        "volume_24h": amount(dig(row, "volume", "h24")),
        "buys_24h": amount(dig(row, "txns", "h24", "buys")),
        "sells_24h": amount(dig(row, "txns", "h24", "sells")),
        "created_at": moment(row.get("pairCreatedAt"), milliseconds=True),
    }
