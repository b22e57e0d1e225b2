"""Etherscan: supply, verified source and proxy of a contract; needs an API key."""

import asyncio
from typing import Any

from services.reports.sources.base import Asker, Finding, SourceError, Subject
from services.reports.sources.reading import amount, flag, mapping, moment, sequence, text

NAME = "etherscan"
BASE_URL = "https://api.etherscan.io/v2/api"


class Etherscan:
    """Reports its errors in the `result` of an HTTP 200."""

    name = NAME

    def __init__(self, asker: Asker) -> None:
        self._ask = asker

    async def gather(self, subject: Subject) -> Finding:
        answers = await asyncio.gather(
            self._call(subject, "stats", "tokensupply", contractaddress=subject.address),
            self._call(subject, "contract", "getsourcecode", address=subject.address),
            self._call(subject, "contract", "getcontractcreation", contractaddresses=subject.address),
        )
        failures = [answer for answer in answers if isinstance(answer, SourceError)]
        if len(failures) == len(answers):
            raise failures[0]
        supply, source, creation = (None if isinstance(a, SourceError) else a for a in answers)
        data = {
            # In the token's smallest unit; the decimals come from another source.
            "raw_supply": amount(supply),
            **read_source(source),
            "created_at": read_creation(creation),
        }
        reason = f"incomplete: {failures[0].reason}" if failures else None
        return Finding(NAME, "ok", data, reason, endpoints=["tokensupply", "getsourcecode"])

    async def _call(self, subject: Subject, module: str, action: str, **query: str) -> Any:
        asked = {"chainid": subject.chain.chain_id, "module": module, "action": action, **query}
        try:
            answer = mapping(await self._ask.json("", asked))
        except SourceError as error:
            return error
        if answer.get("status") == "1":
            return answer.get("result")
        said = str(answer.get("result", "")).lower()
        return SourceError("rate_limited" if "rate limit" in said else "refused")


def read_source(result: Any) -> dict[str, Any]:
    rows = sequence(result, 1)
    row = mapping(rows[0]) if rows else {}
    code = row.get("SourceCode")
    return {
        "verified": bool(code) if isinstance(code, str) else None,
        "proxy": flag(row.get("Proxy")),
        "compiler": text(row.get("CompilerVersion"), 40),
    }


def read_creation(result: Any) -> str | None:
    rows = sequence(result, 1)
    return moment(mapping(rows[0]).get("timestamp")) if rows else None
