"""The market data providers, faked: the packaged sample in each provider's own documented shape, misbehaving on demand.

All seven stand behind one origin as path prefixes. A scenario per source says how it behaves: `ok`, `404`, `429`
(with Retry-After), `500`, `flaky` (500 once, then fine), `slow`, `truncated`, `html`, `missing` (fields gone),
`nulls`, `hostile` (markup in names), `negative` and `huge` (impossible numbers), `mismatch` (another address), `empty`,
`skewed`, `part` (the first question is answered, those that go into detail are not).
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
from aiohttp import web

from services.reports.sources import sample
from services.reports.sources.base import Answer, SourceError

DAY_MS = 86_400_000
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"
USDC = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"
ANOTHER = "0x" + "99" * 20
DETAILS = ("/market_chart", "/ohlc", "/tickers", "/stablecoincharts/", "/protocol/", "/fees/", "/getTopTokenHolders/")
SOURCES = ("coingecko", "defillama", "dexscreener", "goplus", "honeypot", "ethplorer", "etherscan")


_MADE: dict[tuple[str, ...], bytes | None] = {}


@dataclass
class MarketData:
    """Answers for one token; `asset` is which of the three sample assets stands behind it."""

    token: str = "usd-coin"
    address: str = USDC
    asset: str = "stable"
    scenarios: dict[str, str] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    keys_seen: list[str] = field(default_factory=list)
    long_life: bool = False  # a protocol's whole life is more than anybody reads

    def data(self, source: str) -> dict[str, Any]:
        return sample.data_set()["assets"][self.asset][source]

    def answer(self, url: str) -> Answer:
        parts = urlsplit(url)
        source, _, rest = parts.path.strip("/").partition("/")
        self.calls[source] += 1
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        scenario = self.scenarios.get(source, "ok")
        if scenario == "part" and any(detail in parts.path for detail in DETAILS):
            scenario = "500"
        refused = self._refusal(source, scenario)
        if refused is not None:
            return refused
        key = (self.asset, self.token, self.address, scenario, str(self.long_life), url)
        if key not in _MADE:
            body = _SHAPES[source](self, "/" + rest, query)
            _MADE[key] = None if body is None else _spoil(msgspec.json.encode(body), scenario)
        made = _MADE[key]
        if source == "ethplorer":
            self.keys_seen.append(query.get("apiKey", ""))
        if made is None:
            return Answer(404, {}, b'{"error":"coin not found"}')
        return Answer(200, {"content-type": "application/json"}, made)

    def _refusal(self, source: str, scenario: str) -> Answer | None:
        if scenario == "flaky" and self.calls[source] == 1:
            return Answer(500, {}, b"oops")
        return {
            "404": Answer(404, {}, b'{"error":"coin not found"}'),
            "429": Answer(429, {"retry-after": "120"}, b'{"status":{"error_code":429}}'),
            "500": Answer(500, {}, b"internal error"),
            "401": Answer(401, {}, b'{"status":{"error_code":10002}}'),
            "html": Answer(200, {}, b"<!doctype html><title>Just a moment</title>"),
            "empty": Answer(200, {}, b"{}"),
        }.get(scenario)

    def told_address(self, source: str) -> str:
        return ANOTHER if self.scenarios.get(source) == "mismatch" else self.address

    def named(self, source: str, name: str | None) -> str | None:
        return HOSTILE if self.scenarios.get(source) == "hostile" else name


def _spoil(body: bytes, scenario: str) -> bytes:
    if scenario == "truncated":
        return body[: len(body) // 2]
    if scenario == "nulls":
        return msgspec.json.encode(_nulled(msgspec.json.decode(body)))
    if scenario == "missing":
        return msgspec.json.encode(_thinned(msgspec.json.decode(body)))
    if scenario in ("negative", "huge"):
        return msgspec.json.encode(_changed(msgspec.json.decode(body), {"negative": _below, "huge": _beyond}[scenario]))
    return body


def _nulled(value: Any, depth: int = 0) -> Any:
    if isinstance(value, dict):
        return {
            k: (_nulled(v, depth + 1) if isinstance(v, dict | list) or k in ("id", "code", "status") else None)
            for k, v in value.items()
        }
    return value


def _thinned(value: Any) -> Any:
    """Every second member gone, the identifying ones kept."""
    if isinstance(value, dict):
        return {
            k: _thinned(v)
            for i, (k, v) in enumerate(value.items())
            if i % 2 == 0 or k in ("id", "code", "result", "status", "address", "token")
        }
    return [_thinned(v) for v in value] if isinstance(value, list) else value


def _changed(value: Any, number: Callable[[float], float]) -> Any:
    if isinstance(value, dict):
        return {k: (v if k in ("code", "status", "id") else _changed(v, number)) for k, v in value.items()}
    if isinstance(value, list):
        stamps = len(value) == 2 and all(isinstance(v, int | float) for v in value)
        return [value[0], number(value[1])] if stamps else [_changed(v, number) for v in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number(value)
    return value


def _below(value: float) -> float:
    return -abs(value) - 1


def _beyond(value: float) -> float:
    return 1e300


def _coingecko(market: MarketData, path: str, query: dict[str, str]) -> Any:
    data = market.data("coingecko")
    name = path.removeprefix("/api/v3/coins/").split("/")[0]
    if path.endswith("/market_chart"):
        rows = data["history"] if name == market.token else data["benchmarks"].get(name)
        return None if rows is None else _chart(rows, market.scenarios.get("coingecko") == "skewed")
    if name != market.token:
        return None
    if path.endswith("/ohlc"):
        return [candle for day in zip(*data["ranges"].values(), strict=True) for candle in _candles(*day)]
    if path.endswith("/tickers"):
        return {"name": "x", "tickers": [_ticker(row) for row in data["venues"]]}
    return _coin(market, data)


def _candles(day: int, high: float, low: float) -> list[list[float]]:
    """Six of four hours, each with the time of its end; the day's extremes are in the second and the fifth."""
    middle = (high + low) / 2
    tops, floors = [middle, high, *[middle] * 4], [*[middle] * 4, low, middle]
    return [
        [day * DAY_MS + (number + 1) * 4 * 3_600_000, middle, top, floor, middle]
        for number, (top, floor) in enumerate(zip(tops, floors, strict=True))
    ]


def _chart(rows: dict[str, Any], skewed: bool) -> dict[str, Any]:
    shift = 90 * 365 * DAY_MS if skewed else 0

    def points(name: str) -> list[list[float]]:
        values = rows.get(name, rows["price"])
        found = [[day * DAY_MS + shift, value] for day, value in zip(rows["day"], values, strict=True)]
        return [*found[-366:], [rows["day"][-1] * DAY_MS + shift + 3_600_500 * 7, values[-1] * 1.5]]

    return {"prices": points("price"), "market_caps": points("cap"), "total_volumes": points("volume")}


def _coin(market: MarketData, data: dict[str, Any]) -> dict[str, Any]:
    identity, figures, skewed = data["identity"], data["market"], market.scenarios.get("coingecko") == "skewed"
    return {
        "id": market.token,
        "symbol": market.named("coingecko", identity["symbol"].lower()),
        "name": market.named("coingecko", identity["name"]),
        "asset_platform_id": "ethereum",
        "platforms": {"ethereum": market.told_address("coingecko")},
        "categories": identity["categories"],
        "genesis_date": identity["genesis"],
        "market_cap_rank": identity["rank"],
        "public_notice": market.named("coingecko", None),
        "last_updated": "2026-10-31T00:00:00.000Z",
        "market_data": {
            "last_updated": "2099-01-01T00:00:00.000Z" if skewed else "2026-10-31T00:00:00.000Z",
            "current_price": {"usd": figures["price"]},
            "market_cap": {"usd": figures["market_cap"]},
            "fully_diluted_valuation": {"usd": figures["diluted_value"]},
            "total_volume": {"usd": figures["volume_24h"]},
            "ath": {"usd": figures["ath"]},
            "ath_date": {"usd": figures["ath_at"]},
            "atl": {"usd": figures["atl"]},
            "atl_date": {"usd": figures["atl_at"]},
            "circulating_supply": figures["circulating"],
            "total_supply": figures["total"],
            "max_supply": figures["max"],
            "max_supply_infinite": figures["uncapped"],
            "total_value_locked": {"usd": 12.0, "btc": 1.0},
            "price_change_percentage_24h": figures["changes"]["1"],
            "price_change_percentage_7d": figures["changes"]["7"],
            "price_change_percentage_30d": figures["changes"]["30"],
            "price_change_percentage_1y": figures["changes"]["365"],
        },
        "developer_data": {"commit_count_4_weeks": data["activity"]["commits_4_weeks"], "stars": 1},
        "community_data": {"telegram_channel_user_count": None},
    }


def _ticker(row: dict[str, Any]) -> dict[str, Any]:
    spread = row["spread"]
    return {
        "market": {"name": row["venue"], "identifier": row["venue"]},
        "converted_volume": {"usd": row["volume_usd"]},
        "bid_ask_spread_percentage": None if spread is None else spread * 100,
        "is_stale": row["stale"],
        "is_anomaly": row["anomaly"],
    }


def _defillama(market: MarketData, path: str, query: dict[str, str]) -> Any:
    data = market.data("defillama")
    stable, protocol = data["stable"], data["protocol"]
    if path.startswith("/coins/prices/current/"):
        key = path.rsplit("/", 1)[1]
        return {
            "coins": {
                key: {"price": data["quote"]["price"], "symbol": "X", "timestamp": 1793404800, "confidence": 0.99}
            }
        }
    if path == "/stablecoins/stablecoins":
        rows = [{"id": "99", "gecko_id": "someone-else", "pegType": "peggedUSD"}]
        if stable:
            chains = {name: {"current": {"peggedUSD": held}} for name, held in stable["chains"].items()}
            rows.append(
                {"id": "2", "gecko_id": market.token, "pegType": "peggedUSD", "pegMechanism": "fiat-backed",
                 "circulating": {"peggedUSD": stable["circulating"]}, "chainCirculating": chains, "price": stable["price"]}
            )  # fmt: skip
        return {"peggedAssets": rows}
    if path == "/stablecoins/stablecoincharts/all":
        flow = stable["flow"] if stable else []
        return [{"date": str(int(day) * 86_400), "totalCirculating": {"peggedUSD": held}} for day, held in flow]
    if path == "/api/protocols":
        if not protocol:
            return [{"slug": "x", "gecko_id": None, "tvl": 5}]
        chains = protocol["chains"] | {"borrowed": 1e9, "Ethereum-borrowed": 1e9}
        return [{"slug": "northstar", "name": "Northstar", "gecko_id": market.token, "tvl": protocol["tvl"], "category": "Lending",
                 "change_1d": protocol["change_1d"], "change_7d": protocol["change_7d"], "chainTvls": chains}]  # fmt: skip
    if path == "/api/protocol/northstar" and protocol:
        now, before = protocol["tvl"], protocol["tvl"] / (1 + protocol["change_30d"] / 100)
        return {
            "tvl": [
                {"date": 1793404800 - days * 86_400, "totalLiquidityUSD": before if days > 20 else now}
                for days in range(60, -1, -1)
            ],
            "tokens": "x" * (9 << 20) if market.long_life else "",
        }
    if path.startswith("/api/summary/fees/") and protocol:
        return {"total30d": protocol["fees_30d" if query.get("dataType") == "dailyFees" else "revenue_30d"]}
    return None


def _dexscreener(market: MarketData, path: str, query: dict[str, str]) -> Any:
    rows = []
    for pool in market.data("dexscreener")["pools"]:
        base, quote = pool["pair"].split("/")
        rows.append(
            {"chainId": "ethereum", "dexId": pool["dex"], "pairAddress": "0x1", "labels": pool["labels"],
             "baseToken": {"address": market.told_address("dexscreener").upper().replace("0X", "0x"), "symbol": market.named("dexscreener", base)},
             "quoteToken": {"address": "0x2", "symbol": quote}, "priceUsd": str(pool["price_usd"]),
             "txns": {"h24": {"buys": pool["buys_24h"], "sells": pool["sells_24h"]}},
             "volume": {"h24": pool["volume_24h"]}, "liquidity": {"usd": pool["liquidity_usd"]}, "pairCreatedAt": 1_700_000_000_000}
        )  # fmt: skip
    # The same address on a fork comes first, as it was seen to.
    return [{**rows[0], "chainId": "pulsechain", "liquidity": {"usd": 9e12}}, *rows]


def _goplus(market: MarketData, path: str, query: dict[str, str]) -> Any:
    data = market.data("goplus")
    told: dict[str, Any] = {name: str(int(value)) for name, value in data["flags"].items() if value is not None}
    told |= {f"{name}_tax": "" if value is None else str(value) for name, value in data["taxes"].items()}
    told |= {"holder_count": str(data["holder_count"]), "total_supply": str(data["total_supply"]), "owner_percent": str(data["owner_share"]),
             "creator_percent": str(data["creator_share"]), "holders": [{"address": "0xh", "tag": market.named("goplus", "exchange"), "is_contract": 1, "percent": "0.05", "is_locked": 0}]}  # fmt: skip
    return {"code": 1, "message": "OK", "result": {market.address: told}}


def _honeypot(market: MarketData, path: str, query: dict[str, str]) -> Any:
    data = market.data("honeypot")
    return {
        "token": {"name": "x", "address": market.told_address("honeypot"), "totalHolders": data["holder_count"]},
        "summary": {"risk": data["risk"]},
        "simulationSuccess": data["simulated"],
        "honeypotResult": {"isHoneypot": data["honeypot"]},
        "simulationResult": {f"{name}Tax": tax * 100 for name, tax in data["taxes"].items()},
        "contractCode": {"openSource": data["open_source"], "isProxy": data["proxy"]},
    }


def _ethplorer(market: MarketData, path: str, query: dict[str, str]) -> Any:
    data = market.data("ethplorer")
    if path.startswith("/getTopTokenHolders"):
        return {
            "holders": [{"address": h["address"], "balance": 1, "share": h["share"] * 100} for h in data["holders"]]
        }
    return {
        "address": market.told_address("ethplorer"), "decimals": "6", "name": "x", "totalSupply": str(int(data["total_supply"] * 10**6)),
        "holdersCount": data["holder_count"], "transfersCount": 5, "contractInfo": {"creationTimestamp": 1_554_163_200},
        "price": {"rate": data["price"], "ts": 1_793_404_800},
    }  # fmt: skip


def _etherscan(market: MarketData, path: str, query: dict[str, str]) -> Any:
    data = market.data("etherscan")
    if not query.get("apikey"):
        return {"status": "0", "message": "NOTOK", "result": "Missing/Invalid API Key"}
    if query["action"] == "tokensupply":
        return {"status": "1", "message": "OK", "result": "1000"}
    if query["action"] == "getsourcecode":
        code = "contract X {}" if data["verified"] else ""
        return {
            "status": "1",
            "message": "OK",
            "result": [{"SourceCode": code, "Proxy": "1" if data["proxy"] else "0", "CompilerVersion": "v1"}],
        }
    return {"status": "0", "message": "NOTOK", "result": "Max rate limit reached"}


_SHAPES: dict[str, Callable[[MarketData, str, dict[str, str]], Any]] = {
    "coingecko": _coingecko,
    "defillama": _defillama,
    "dexscreener": _dexscreener,
    "goplus": _goplus,
    "honeypot": _honeypot,
    "ethplorer": _ethplorer,
    "etherscan": _etherscan,
}


class FakeTransport:
    """The providers without a socket."""

    def __init__(self, market: MarketData) -> None:
        self.market = market

    async def get(self, url: str, *, headers: Any, timeout_seconds: float, max_bytes: int) -> Answer:
        source = urlsplit(url).path.strip("/").split("/")[0]
        if self.market.scenarios.get(source) == "slow":
            self.market.calls[source] += 1
            raise SourceError("timeout")
        if self.market.scenarios.get(source) == "down":
            self.market.calls[source] += 1
            raise SourceError("unreachable")
        answer = self.market.answer(url)
        if len(answer.body) > max_bytes:
            raise SourceError("too_large")
        return answer


def base_urls(origin: str = "http://fake") -> dict[str, str]:
    paths = {"coingecko": "/coingecko/api/v3", "etherscan": "/etherscan/v2/api"}
    return {name: origin + paths.get(name, f"/{name}") for name in SOURCES}


@asynccontextmanager
async def served(market: MarketData) -> AsyncIterator[str]:
    """The providers on a local port; gives the origin."""

    async def handle(request: web.Request) -> web.StreamResponse:
        source = request.path.strip("/").split("/")[0]
        if market.scenarios.get(source) == "slow":
            await asyncio.sleep(30)
        answer = market.answer(str(request.rel_url))
        headers = {k: v for k, v in answer.headers.items() if k != "content-type"}
        return web.Response(status=answer.status, body=answer.body, headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()
