"""DefiLlama: a second price, stablecoin supply with its chains, and locked value and fees of protocols."""

import asyncio
from dataclasses import replace
from typing import Any

from services.reports.sources.base import BODY_BYTES, Asker, Finding, NotKnownError, SourceError, Subject
from services.reports.sources.reading import amount, change, dig, mapping, moment, number, price, sequence, text

NAME = "defillama"
HOSTS = {
    "coins": "https://coins.llama.fi",
    "stablecoins": "https://stablecoins.llama.fi",
    "api": "https://api.llama.fi",
}
DAY = 86_400
SKIPPED_TVL = ("borrowed", "staking", "pool2", "treasury", "vesting", "offers")


class Defillama:
    """Three public hosts without a key; a single configured base URL puts them behind path prefixes."""

    name = NAME

    def __init__(self, asker: Asker, hosts: dict[str, tuple[str, ...]]) -> None:
        self._ask = asker
        # A protocol's whole life is told in tens of megabytes for the largest: more than one figure is worth.
        self._modest = replace(asker, max_bytes=BODY_BYTES)
        self._hosts = hosts
        self._lost: list[SourceError] = []  # parts that could not be had, beside the one figure too long to read

    async def gather(self, subject: Subject) -> Finding:
        key = f"{subject.chain.llama}:{subject.address}"
        asked = await asyncio.gather(
            self._price(key), self._stablecoin(subject), self._protocol(subject), return_exceptions=True
        )
        for answer in asked:
            if isinstance(answer, BaseException) and not isinstance(answer, SourceError):
                raise answer
        failures = [a for a in asked if isinstance(a, SourceError)]
        quote, stable, protocol = (None if isinstance(a, BaseException) else a for a in asked)
        if not (quote or stable or protocol):
            real = [failure for failure in failures if not isinstance(failure, NotKnownError)]
            raise real[0] if real else NotKnownError()
        # In an order of their own: which part failed first differs when the report is made again from its evidence.
        reasons = {failure.reason for failure in (*failures, *self._lost)}
        causes = sorted(reasons - {"left_alone"} or reasons)
        reason = f"incomplete: {' and '.join(causes)}" if causes else None
        data = {"quote": quote, "stable": stable, "protocol": protocol}
        return Finding(
            NAME,
            "ok",
            data,
            reason,
            (quote or {}).get("as_of"),
            ["/prices/current", "/stablecoins", "/protocols", "/protocol/{slug}"],
        )

    async def _get(self, host: str, path: str, query: dict[str, Any] | None = None, asker: Asker | None = None) -> Any:
        """From the first layout of the host that knows the path."""
        asker = asker or self._ask
        *others, last = self._hosts[host]
        for base in others:
            try:
                return await asker.json(path, query, base)
            except NotKnownError:
                continue
        return await asker.json(path, query, last)

    async def _part(self, host: str, path: str, query: dict[str, Any] | None = None, asker: Asker | None = None) -> Any:
        """What the rest can do without: None where there is none, and noted where it could not be had."""
        try:
            return await self._get(host, path, query, asker)
        except NotKnownError:
            return None
        except SourceError as error:
            if error.reason != "too_large":
                self._lost.append(error)
            return None

    async def _price(self, key: str) -> dict[str, Any] | None:
        answer = await self._get("coins", f"/prices/current/{key}")
        # Keys come back in the case they were asked in, but not from every mirror.
        coins = {str(name).lower(): coin for name, coin in mapping(mapping(answer).get("coins")).items()}
        coin = mapping(coins.get(key.lower()))
        found = price(coin.get("price"))
        if found is None:
            return None
        return {
            "price": found,
            "confidence": number(coin.get("confidence")),
            "as_of": moment(coin.get("timestamp")),
        }

    async def _stablecoin(self, subject: Subject) -> dict[str, Any] | None:
        answer = await self._get("stablecoins", "/stablecoins", {"includePrices": "true"})
        row = _by_gecko_id(mapping(answer).get("peggedAssets"), subject.token)
        if row is None:
            return None
        query = {"stablecoin": str(row.get("id"))}
        history = await self._part("stablecoins", "/stablecoincharts/all", query)
        return read_stablecoin(row, history, subject.now_ms)

    async def _protocol(self, subject: Subject) -> dict[str, Any] | None:
        row = _by_gecko_id(await self._get("api", "/protocols"), subject.token, 20_000)
        if row is None:
            return None
        slug = text(row.get("slug"), 80)
        fees, revenue, change = await asyncio.gather(
            self._monthly(slug, "dailyFees"), self._monthly(slug, "dailyRevenue"), self._month_change(slug)
        )
        return {**read_protocol(row), "change_30d": change, "fees_30d": fees, "revenue_30d": revenue}

    async def _month_change(self, slug: str | None) -> float | None:
        if not slug:
            return None
        told = mapping(await self._part("api", f"/protocol/{slug}", asker=self._modest))
        return read_month_change(told.get("tvl"))

    async def _monthly(self, slug: str | None, kind: str) -> float | None:
        if not slug:
            return None
        query = {
            "dataType": kind,
            "excludeTotalDataChart": "true",
            "excludeTotalDataChartBreakdown": "true",
        }
        return amount(mapping(await self._part("api", f"/summary/fees/{slug}", query)).get("total30d"))


def _by_gecko_id(rows: Any, token: str, limit: int = 5_000) -> dict[str, Any] | None:
    matches = [row for row in map(mapping, sequence(rows, limit)) if row.get("gecko_id") == token]
    return max(matches, key=lambda row: amount(row.get("tvl")) or 0.0, default=None)


def read_stablecoin(row: dict[str, Any], history: Any, now_ms: int) -> dict[str, Any]:
    kind = text(row.get("pegType"), 30) or "peggedUSD"
    chains = {
        str(text(name, 40)): held
        for name, entry in mapping(row.get("chainCirculating")).items()
        if (held := amount(dig(entry, "current", kind)))
    }
    flow: list[list[float]] = []
    for point in sequence(history)[-400:]:
        stamp = number(mapping(point).get("date"))
        held = amount(dig(point, "totalCirculating", kind))
        if stamp and held and 0 < stamp * 1000 <= now_ms:
            flow.append([stamp // DAY, held])
    return {
        "peg": kind,
        "mechanism": text(row.get("pegMechanism"), 40),
        "circulating": amount(dig(row, "circulating", kind)),
        "price": price(row.get("price")),
        "chains": chains,
        "flow": flow,
    }


def read_month_change(points: Any) -> float | None:
    """Percent from the figure of 30 days before the last one, or the nearest older one of that week."""
    held = {
        stamp: figure
        for stamp, figure in ((number(dig(p, "date")), amount(dig(p, "totalLiquidityUSD"))) for p in sequence(points))
        if stamp and figure
    }
    last = max(held, default=0.0)
    before = max((stamp for stamp in held if last - 37 * DAY <= stamp <= last - 30 * DAY), default=None)
    return None if before is None else (held[last] / held[before] - 1) * 100


def read_protocol(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": text(row.get("name"), 60),
        "category": text(row.get("category"), 40),
        "tvl": amount(row.get("tvl")),
        "change_1d": change(row.get("change_1d")),
        "change_7d": change(row.get("change_7d")),
        # Names with a dash split a chain's figure further and would be counted twice.
        "chains": {
            str(text(name, 40)): held
            for name, value in mapping(row.get("chainTvls")).items()
            if "-" not in name and name.lower() not in SKIPPED_TVL and (held := amount(value))
        },
    }
