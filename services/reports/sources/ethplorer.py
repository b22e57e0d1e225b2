"""Ethplorer: holders of a token on Ethereum, its supply and its age."""

import asyncio
from typing import Any

from services.reports.sources.base import Asker, Finding, NotKnownError, SourceError, Subject
from services.reports.sources.reading import (
    amount,
    dig,
    mapping,
    moment,
    number,
    price,
    sequence,
    share,
    text,
    whole,
)

NAME = "ethplorer"
BASE_URL = "https://api.ethplorer.io"
HOLDERS = 100


class Ethplorer:
    """Speaks percent and raw integers; both are converted on reading."""

    name = NAME

    def __init__(self, asker: Asker) -> None:
        self._ask = asker

    async def gather(self, subject: Subject) -> Finding:
        info, holders = await asyncio.gather(
            self._ask.json(f"/getTokenInfo/{subject.address}"), self._holders(subject.address)
        )
        token = mapping(info)
        if token.get("error"):
            raise (NotKnownError if number(dig(token, "error", "code")) in (104, 150) else SourceError("refused"))
        told = text(token.get("address"), 64)
        if told is None:
            raise SourceError("bad_answer")
        if told.lower() != subject.address:
            raise SourceError("another_token")
        reason = "no holder list" if holders is None else None
        data = {**read_token(token), "holders": holders or []}
        return Finding(NAME, "ok", data, reason, data["price_as_of"], ["/getTokenInfo", "/getTopTokenHolders"])

    async def _holders(self, address: str) -> list[dict[str, Any]] | None:
        try:
            answer = await self._ask.json(f"/getTopTokenHolders/{address}", {"limit": HOLDERS})
        except SourceError:
            return None
        rows = map(mapping, sequence(mapping(answer).get("holders"), HOLDERS))
        holders = [
            {"address": text(row.get("address"), 64), "share": part}
            for row in rows
            if (part := share(row.get("share"), percent=True)) is not None
        ]
        return whole(holders) or (None if holders else [])


def read_token(token: dict[str, Any]) -> dict[str, Any]:
    raw, decimals = amount(token.get("totalSupply")), amount(token.get("decimals"))
    quote = mapping(token.get("price"))
    return {
        "holder_count": amount(token.get("holdersCount")),
        "transfer_count": amount(token.get("transfersCount")),
        "total_supply": raw / 10**decimals if raw is not None and decimals is not None and decimals <= 36 else None,
        "created_at": moment(dig(token, "contractInfo", "creationTimestamp")),
        "price": price(quote.get("rate")),
        "price_as_of": moment(quote.get("ts")),
    }
