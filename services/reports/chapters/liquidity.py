"""Liquidity: what trades, where, how deep the pools are and what a sale would cost."""

from statistics import median
from typing import Any

import numpy as np

from services.reports import metrics
from services.reports.chapters.material import Material

POOLS, MARKET = "dexscreener", "coingecko"
DEEP_USD = 50_000
TRADES_USD = (10_000, 100_000)
WASH_RATIO = 50.0


def write(material: Material) -> None:
    _trading(material)
    _pools(material)
    _venues(material)


def _trading(material: Material) -> None:
    book, history = material.book, material.history
    volume, cap = book.number("volume_24h"), book.number("market_cap")
    ratio = volume / cap if volume is not None and cap else None
    reason = material.reason(MARKET)
    book.add("turnover", ratio, "percent", MARKET, formula="volume 24 h / market cap", reason=reason)
    usual = metrics.median_turnover(history.volumes, history.caps) if len(history) else None
    why = "too_short" if len(history) else reason
    book.add("turnover_30d", usual, "percent", MARKET, formula="30-day median of daily turnover", reason=why)
    window = history.last(material.days)
    moved = None
    if len(window) > 1:
        returns, traded = metrics.simple_returns(window.prices), np.nan_to_num(window.volumes[1:])
        moved = metrics.amihud(returns, traded)
    book.add("amihud", moved, "percent", MARKET, formula="mean(|r| / volume) * 10^6", reason=why)


def _pools(material: Material) -> None:
    book, reason = material.book, material.reason(POOLS)
    pools: list[dict[str, Any]] = material.of(POOLS).get("pools") or []
    depths = [pool["liquidity_usd"] for pool in pools if pool["liquidity_usd"]]
    depth = sum(depths) if depths else None
    book.add("pool_depth", depth, "usd", POOLS, formula="sum of pool liquidity", reason=reason)
    cap = book.number("market_cap")
    ratio = depth / cap if depth and cap else None
    book.add("pool_depth_ratio", ratio, "percent", POOLS, formula="pool depth / market cap", reason=reason)
    deep = float(sum(value >= DEEP_USD for value in depths)) if depths else None
    book.add("deep_pools", deep, "count", POOLS, reason=reason)
    top = max(depths) / depth if depth else None
    book.add("top_pool_share", top, "percent", POOLS, reason=reason)
    for trade in TRADES_USD:
        # Half of a pool's liquidity is the other side; concentrated pools are better than this.
        lost = metrics.price_impact(trade, max(depths) / 2) if depths else None
        name = f"impact_{trade // 1000}k"
        book.add(name, lost, "percent", POOLS, formula="Q / (R + Q), largest pool", reason=reason)
    _activity(material, pools, reason)
    rows = [[f"{pool['pair']} · {pool['dex']}", pool["liquidity_usd"]] for pool in pools if pool["liquidity_usd"]]
    if rows:
        material.chart("pools", "liquidity", "ranks", unit="usd", rows=rows[:8])


def _activity(material: Material, pools: list[dict[str, Any]], reason: str) -> None:
    book = material.book
    # Volume and depth of the same pools: of one that tells half, neither counts.
    both = [pool for pool in pools if pool["volume_24h"] is not None and pool["liquidity_usd"]]
    depth = sum(pool["liquidity_usd"] for pool in both)
    churn = sum(pool["volume_24h"] for pool in both) / depth if both else None
    book.add("pool_churn", churn, "ratio", POOLS, formula="pool volume 24 h / pool depth", reason=reason)
    trades = [pool for pool in pools if pool["buys_24h"] is not None and pool["sells_24h"] is not None]
    buys, sells = (sum(pool[side] for pool in trades) for side in ("buys_24h", "sells_24h"))
    counted = buys + sells
    part = sells / counted if counted else None
    book.add("sell_share", part, "percent", POOLS, formula="sells / trades, 24 h", reason=reason)
    if churn is not None and churn > WASH_RATIO:
        material.alarms.append({"id": "wash_trading", "severity": "high", "sources": [POOLS]})
    if counted >= 50 and part is not None and part < 0.05:
        material.alarms.append({"id": "hardly_any_sales", "severity": "high", "sources": [POOLS]})


def _venues(material: Material) -> None:
    book, reason = material.book, material.reason(MARKET)
    venues: list[dict[str, Any]] = material.of(MARKET).get("venues") or []
    totals: dict[str, float] = {}
    for venue in venues:
        if venue["venue"] and venue["volume_usd"] and not venue["stale"] and not venue["anomaly"]:
            totals[venue["venue"]] = totals.get(venue["venue"], 0.0) + venue["volume_usd"]
    spread = metrics.herfindahl(list(totals.values())) if totals else None
    book.add("venue_hhi", spread, "index1", MARKET, formula="sum of squared volume shares", reason=reason)
    gaps = [venue["spread"] for venue in venues if venue["spread"] is not None]
    book.add("venue_spread", median(gaps) if gaps else None, "percent", MARKET, reason=reason)
    stale = float(sum(bool(venue["stale"] or venue["anomaly"]) for venue in venues)) if venues else None
    book.add("doubtful_venues", stale, "count", MARKET, reason=reason)
    total = sum(totals.values())
    ranked = sorted(totals.items(), key=lambda item: -item[1])[:8]
    if len(ranked) > 1:
        rows = [[name, held / total] for name, held in ranked]
        material.chart("venues", "liquidity", "ranks", unit="percent", rows=rows)
