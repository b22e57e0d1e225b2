"""Honeypot.is: a simulated purchase and sale, which shows taxes and traps that reading the code may miss."""

from typing import Any

from services.reports.sources.base import Asker, Finding, NotKnownError, SourceError, Subject
from services.reports.sources.reading import amount, dig, flag, mapping, share, text

NAME = "honeypot"
BASE_URL = "https://api.honeypot.is"


class Honeypot:
    """Taxes are percent here and fractions elsewhere; converted once, on reading."""

    name = NAME

    def __init__(self, asker: Asker) -> None:
        self._ask = asker

    async def gather(self, subject: Subject) -> Finding:
        query = {"address": subject.address, "chainID": subject.chain.chain_id}
        answer = mapping(await self._ask.json("/v2/IsHoneypot", query))
        if not mapping(answer.get("token")):
            raise NotKnownError
        told = text(dig(answer, "token", "address"), 64)
        if told is not None and told.lower() != subject.address:
            raise SourceError("another_token")
        return Finding(NAME, "ok", read_simulation(answer), endpoints=["/v2/IsHoneypot"])


def read_simulation(answer: dict[str, Any]) -> dict[str, Any]:
    simulated = flag(answer.get("simulationSuccess"))
    result = mapping(answer.get("simulationResult")) if simulated else {}
    return {
        "simulated": simulated,
        # Without a successful simulation the verdict is absent: unknown, never "not a honeypot".
        "honeypot": flag(dig(answer, "honeypotResult", "isHoneypot")) if simulated else None,
        "reason": text(dig(answer, "honeypotResult", "honeypotReason")),
        "taxes": {name: share(result.get(f"{name}Tax"), percent=True) for name in ("buy", "sell", "transfer")},
        "open_source": flag(dig(answer, "contractCode", "openSource")),
        "proxy": flag(dig(answer, "contractCode", "isProxy")),
        "holder_count": amount(dig(answer, "token", "totalHolders")),
        "risk": text(dig(answer, "summary", "risk"), 20),
    }
