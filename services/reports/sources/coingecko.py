"""CoinGecko: identity, market figures, daily history, venues; a report can hardly do without it."""

import asyncio
from typing import Any

from services.reports.sources.base import Asker, Finding, NotKnownError, SourceError, Subject
from services.reports.sources.reading import (
    DAY_MS,
    amount,
    change,
    columns,
    daily,
    dig,
    flag,
    mapping,
    moment,
    number,
    price,
    sequence,
    share,
    text,
)

NAME = "coingecko"
KEYLESS_URL = "https://api.coingecko.com/api/v3"
PRO_URL = "https://pro-api.coingecko.com/api/v3"
HISTORY_DAYS = 365
BENCHMARKS = ("bitcoin", "ethereum")
COIN_QUERY = {
    "localization": "false",
    "tickers": "false",
    "market_data": "true",
    "community_data": "true",
    "developer_data": "true",
    "sparkline": "false",
}
CANDLE_QUERY = {"vs_currency": "usd", "days": 30}  # the longest span whose candles are shorter than a day
MOST_CANDLES = 2_000
CHART_QUERY = {"vs_currency": "usd", "days": HISTORY_DAYS, "interval": "daily"}


class Coingecko:
    """Reads a coin by its id; the platforms in the answer tell whether id and address belong together."""

    name = NAME

    def __init__(self, asker: Asker) -> None:
        self._ask = asker

    async def identify(self, subject: Subject) -> dict[str, Any]:
        """Who the token is, and the address known for the chain (None: not on that chain)."""
        coin = mapping(await self._ask.json(f"/coins/{subject.token}", COIN_QUERY))
        if not text(coin.get("id")):
            raise SourceError("bad_answer")
        return {**read_identity(coin), "address": read_address(coin, subject)}

    async def gather(self, subject: Subject) -> Finding:
        coin = mapping(await self._ask.json(f"/coins/{subject.token}", COIN_QUERY))
        if not text(coin.get("id")):
            raise SourceError("bad_answer")
        history, venues, ranges, *markets = await asyncio.gather(
            self._history(subject.token, subject),
            self._venues(subject.token),
            self._ranges(subject),
            *(self._history(name, subject) for name in BENCHMARKS if name != subject.token),
        )
        others = [name for name in BENCHMARKS if name != subject.token]
        market = mapping(coin.get("market_data"))
        data = {
            "identity": read_identity(coin),
            "address": read_address(coin, subject),
            "market": read_market(market),
            "activity": read_activity(coin),
            "history": history,
            "ranges": ranges,
            "benchmarks": {name: rows for name, rows in zip(others, markets, strict=True) if rows},
            "venues": venues,
        }
        missing = [name for name in ("history", "venues", "ranges") if data[name] is None]
        if None in markets:
            missing.append("benchmarks")
        if data["market"]["price"] is None:
            missing.insert(0, "price")
        reason = f"no {' and '.join(missing)}" if missing else None
        as_of = moment(market.get("last_updated")) or moment(coin.get("last_updated"))
        return Finding(NAME, "ok", data, reason, as_of, ["/coins/{id}", "/market_chart", "/ohlc", "/tickers"])

    async def _history(self, token: str, subject: Subject) -> dict[str, Any] | None:
        try:
            chart = mapping(await self._ask.json(f"/coins/{token}/market_chart", CHART_QUERY))
        except SourceError:
            return None
        return read_history(chart, subject.now_ms)

    async def _ranges(self, subject: Subject) -> dict[str, Any] | None:
        """Empty where there are none; None where that could not be learnt."""
        try:
            candles = await self._ask.json(f"/coins/{subject.token}/ohlc", CANDLE_QUERY)
        except NotKnownError:
            return {}
        except SourceError:
            return None
        return read_ranges(candles, subject.now_ms) or {}

    async def _venues(self, token: str) -> list[dict[str, Any]] | None:
        try:
            answer = await self._ask.json(f"/coins/{token}/tickers", {"order": "volume_desc", "depth": "false"})
        except NotKnownError:
            return []
        except SourceError:
            return None
        return [read_venue(row) for row in sequence(mapping(answer).get("tickers"), 100)]


def read_identity(coin: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": text(coin.get("id")),
        "name": text(coin.get("name"), 80),
        "symbol": text(coin.get("symbol"), 20),
        "categories": [name for name in map(text, sequence(coin.get("categories"), 30)) if name],
        "platform": text(coin.get("asset_platform_id")),
        "genesis": text(coin.get("genesis_date"), 10),
        "rank": read_rank(coin.get("market_cap_rank")),
        "notice": text(coin.get("public_notice"), 300),
    }


def read_rank(value: Any) -> float | None:
    found = amount(value)
    return found if found and found == int(found) else None


def read_address(coin: dict[str, Any], subject: Subject) -> str | None:
    known = text(mapping(coin.get("platforms")).get(subject.chain.coingecko))
    return known.lower() if known else None


def read_market(market: dict[str, Any]) -> dict[str, Any]:
    def usd(name: str) -> Any:
        return dig(market, name, "usd")

    locked = market.get("total_value_locked")
    return {
        "price": price(usd("current_price")),
        "market_cap": amount(usd("market_cap")) or None,
        "diluted_value": amount(usd("fully_diluted_valuation")) or None,
        "volume_24h": amount(usd("total_volume")),
        "ath": price(usd("ath")),
        "ath_at": moment(usd("ath_date")),
        "atl": price(usd("atl")),
        "atl_at": moment(usd("atl_date")),
        "circulating": amount(market.get("circulating_supply")) or None,
        "total": amount(market.get("total_supply")) or None,
        "max": amount(market.get("max_supply")) or None,
        "uncapped": read_uncapped(market),
        # Declared a number, seen as an object per currency.
        "tvl": amount(dig(locked, "usd") if isinstance(locked, dict) else locked),
        "changes": {
            days: change(market.get(f"price_change_percentage_{name}"))
            for days, name in (("1", "24h"), ("7", "7d"), ("30", "30d"), ("365", "1y"))
        },
    }


def read_uncapped(market: dict[str, Any]) -> bool | None:
    """As told, or by a null where others have their limit; a limit that was left out is unknown."""
    told = flag(market.get("max_supply_infinite"))
    if told is not None or "max_supply" not in market:
        return told
    if market["max_supply"] is None:
        return True if amount(market.get("circulating_supply")) else None
    return False if amount(market["max_supply"]) else None


def read_activity(coin: dict[str, Any]) -> dict[str, Any]:
    developer, community = mapping(coin.get("developer_data")), mapping(coin.get("community_data"))
    return {
        "commits_4_weeks": amount(developer.get("commit_count_4_weeks")),
        "stars": amount(developer.get("stars")),
        "telegram_users": amount(community.get("telegram_channel_user_count")),
    }


def read_history(chart: dict[str, Any], now_ms: int) -> dict[str, Any] | None:
    closes = daily(chart.get("prices"), now_ms)
    if not closes:
        return None
    return columns(
        price=closes,
        cap=daily(chart.get("market_caps"), now_ms),
        volume=daily(chart.get("total_volumes"), now_ms, positive=False),
    )


def read_ranges(candles: Any, now_ms: int) -> dict[str, Any] | None:
    """The highest and lowest price of each whole day; a candle bears the time of its end."""
    days: dict[int, list[tuple[float, float]]] = {}
    for candle in sequence(candles, MOST_CANDLES):
        parts = [number(part) for part in sequence(candle, 4)]
        if len(parts) < 4:
            continue
        stamp, _, high, low = parts
        if stamp and high and low and high >= low > 0:
            days.setdefault(int(stamp - 1) // DAY_MS, []).append((high, low))
    most = max(map(len, days.values()), default=0)
    whole = [day for day in sorted(days) if len(days[day]) == most and 0 < day < now_ms // DAY_MS]
    if most < 2 or not whole:  # candles of a day or more would tell of several days at once
        return None
    return {
        "day": whole,
        "high": [max(high for high, _ in days[day]) for day in whole],
        "low": [min(low for _, low in days[day]) for day in whole],
    }


def read_venue(row: Any) -> dict[str, Any]:
    return {
        "venue": text(dig(row, "market", "name"), 40),
        "volume_usd": amount(dig(row, "converted_volume", "usd")),
        "spread": share(dig(row, "bid_ask_spread_percentage"), percent=True),
        "stale": flag(dig(row, "is_stale")),
        "anomaly": flag(dig(row, "is_anomaly")),
    }
