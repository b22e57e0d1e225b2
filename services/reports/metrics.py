"""Formulas over daily closes, flows and shares: arrays in, numbers out, `None` where data is too short.

Markets never close, so a year has 365 days; the risk-free rate is zero unless given. The home of numpy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
DAYS_PER_YEAR = 365
MIN_VOLATILITY_DAYS = 30
MIN_RATIO_DAYS = 90
MIN_RANGE_DAYS = 28  # a month of candles has two days that are not whole
MIN_SHAPE_DAYS = 180


@dataclass(frozen=True, slots=True)
class Slump:
    """One fall from a peak: positions in the series; `recovered` is None until the peak is seen again."""

    depth: float
    peak: int
    trough: int
    recovered: int | None
    length: int


def array(values: Sequence[float] | Array) -> Array:
    return np.asarray(values, dtype=np.float64)


def simple_returns(prices: Array) -> Array:
    return prices[1:] / prices[:-1] - 1.0


def log_returns(prices: Array) -> Array:
    return np.log(prices[1:] / prices[:-1])


def period_return(prices: Array, days: int) -> float | None:
    if len(prices) <= days or days < 1:
        return None
    return float(prices[-1] / prices[-1 - days] - 1.0)


def growth_rate(prices: Array) -> float | None:
    """Compound annual growth; only for a year of data or more, since shorter spans exaggerate."""
    periods = len(prices) - 1
    if periods < DAYS_PER_YEAR:
        return None
    return float((prices[-1] / prices[0]) ** (DAYS_PER_YEAR / periods) - 1.0)


def volatility(prices: Array, days: int | None = None) -> float | None:
    """Annualised standard deviation (ddof 1) of the last `days` log returns."""
    changes = log_returns(prices)
    if days is not None:
        if len(changes) < days:
            return None
        changes = changes[-days:]
    if len(changes) < MIN_VOLATILITY_DAYS:
        return None
    return float(np.std(changes, ddof=1) * sqrt(DAYS_PER_YEAR))


def range_volatility(high: Array, low: Array) -> float | None:
    """Parkinson's estimate from each day's highest and lowest price; annualised."""
    if len(high) < MIN_RANGE_DAYS:
        return None
    return float(np.sqrt(np.sum(np.log(high / low) ** 2) / (4 * len(high) * log(2)) * DAYS_PER_YEAR))


def rolling_volatility(prices: Array, days: int = 30) -> Array:
    """One value per full window, the last belonging to the last close."""
    changes = log_returns(prices)
    if len(changes) < days:
        return np.empty(0)
    windows = np.lib.stride_tricks.sliding_window_view(changes, days)
    return np.asarray(np.std(windows, axis=1, ddof=1) * sqrt(DAYS_PER_YEAR), dtype=np.float64)


def downside_deviation(returns: Array, minimum: float = 0.0) -> float | None:
    """Every day counts in the mean, the good ones as zero; annualised."""
    if len(returns) < MIN_VOLATILITY_DAYS:
        return None
    return float(np.sqrt(np.mean(np.minimum(returns - minimum, 0.0) ** 2)) * sqrt(DAYS_PER_YEAR))


def drawdowns(prices: Array) -> Array:
    return prices / np.maximum.accumulate(prices) - 1.0


def max_drawdown(prices: Array) -> float | None:
    return float(drawdowns(prices).min()) if len(prices) >= 2 else None


def ulcer_index(prices: Array) -> float | None:
    return float(np.sqrt(np.mean(drawdowns(prices) ** 2))) if len(prices) >= 2 else None


def slumps(prices: Array) -> list[Slump]:
    """Every fall below an earlier high, deepest first."""
    depth = drawdowns(prices)
    found: list[Slump] = []
    start: int | None = None
    for position, value in enumerate(depth):
        if value < 0 and start is None:
            start = position
        elif value >= 0 and start is not None:
            found.append(_slump(depth, start, position, recovered=True))
            start = None
    if start is not None:
        found.append(_slump(depth, start, len(depth), recovered=False))
    return sorted(found, key=lambda slump: slump.depth)


def _slump(depth: Array, start: int, end: int, *, recovered: bool) -> Slump:
    trough = start + int(np.argmin(depth[start:end]))
    last = end if recovered else end - 1
    return Slump(float(depth[trough]), start - 1, trough, end if recovered else None, last - (start - 1))


def sharpe(returns: Array, risk_free: float = 0.0) -> float | None:
    if len(returns) < MIN_RATIO_DAYS:
        return None
    deviation = float(np.std(returns, ddof=1)) * sqrt(DAYS_PER_YEAR)
    return ratio(float(np.mean(returns)) * DAYS_PER_YEAR - risk_free, deviation)


def sortino(returns: Array, risk_free: float = 0.0) -> float | None:
    if len(returns) < MIN_RATIO_DAYS:
        return None
    deviation = downside_deviation(returns)
    return ratio(float(np.mean(returns)) * DAYS_PER_YEAR - risk_free, deviation)


def calmar(prices: Array) -> float | None:
    growth, fall = growth_rate(prices), max_drawdown(prices)
    return None if growth is None or fall is None else ratio(growth, abs(fall))


def ratio(numerator: float, denominator: float | None) -> float | None:
    # A series that never moves leaves rounding dust in the deviation; a ratio over dust says nothing.
    return None if denominator is None or denominator < 1e-12 else numerator / denominator


def value_at_risk(returns: Array, level: float = 0.95) -> float | None:
    """Historic, as a positive loss: minus the (1 − level) quantile, linearly interpolated."""
    return float(-np.quantile(returns, 1.0 - level)) if len(returns) >= MIN_RATIO_DAYS else None


def expected_shortfall(returns: Array, level: float = 0.95) -> float | None:
    threshold = value_at_risk(returns, level)
    return None if threshold is None else float(-np.mean(returns[returns <= -threshold]))


def skewness(returns: Array) -> float | None:
    """Population moments (g1)."""
    if len(returns) < MIN_SHAPE_DAYS:
        return None
    centred = returns - np.mean(returns)
    return ratio(float(np.mean(centred**3)), float(np.mean(centred**2)) ** 1.5)


def excess_kurtosis(returns: Array) -> float | None:
    """Population moments (g2)."""
    if len(returns) < MIN_SHAPE_DAYS:
        return None
    centred = returns - np.mean(returns)
    peaked = ratio(float(np.mean(centred**4)), float(np.mean(centred**2)) ** 2)
    return None if peaked is None else peaked - 3.0


def cornish_fisher(returns: Array, z: float = -1.6448536269514722) -> float | None:
    """Value at risk at the normal quantile `z` (default 5 %), corrected for skew and fat tails."""
    skew, kurtosis = skewness(returns), excess_kurtosis(returns)
    if skew is None or kurtosis is None:
        return None
    adjusted = z + (z**2 - 1) * skew / 6 + (z**3 - 3 * z) * kurtosis / 24 - (2 * z**3 - 5 * z) * skew**2 / 36
    return float(-(np.mean(returns) + adjusted * np.std(returns, ddof=1)))


def beta(returns: Array, market: Array) -> float | None:
    if len(returns) < MIN_RATIO_DAYS:
        return None
    covariance = float(np.cov(returns, market, ddof=1)[0, 1])
    return ratio(covariance, float(np.var(market, ddof=1)))


def correlation(returns: Array, market: Array, days: int | None = None) -> float | None:
    if days is not None:
        if len(returns) < days:
            return None
        returns, market = returns[-days:], market[-days:]
    if len(returns) < MIN_VOLATILITY_DAYS or np.std(returns) < 1e-12 or np.std(market) < 1e-12:
        return None
    return float(np.corrcoef(returns, market)[0, 1])


def rolling_correlation(returns: Array, market: Array, days: int = 90) -> Array:
    if len(returns) < days:
        return np.empty(0)
    ours = np.lib.stride_tricks.sliding_window_view(returns, days)
    theirs = np.lib.stride_tricks.sliding_window_view(market, days)
    ours = ours - ours.mean(axis=1, keepdims=True)
    theirs = theirs - theirs.mean(axis=1, keepdims=True)
    scale = np.sqrt((ours**2).sum(axis=1) * (theirs**2).sum(axis=1))
    products = (ours * theirs).sum(axis=1)
    return np.asarray(np.divide(products, scale, out=np.zeros_like(scale), where=scale > 1e-18))


def alpha(returns: Array, market: Array) -> float | None:
    slope = beta(returns, market)
    return None if slope is None else float(np.mean(returns - slope * market) * DAYS_PER_YEAR)


def tracking_error(returns: Array, market: Array) -> float | None:
    if len(returns) < MIN_RATIO_DAYS:
        return None
    return float(np.std(returns - market, ddof=1) * sqrt(DAYS_PER_YEAR))


def amihud(returns: Array, volumes: Array) -> float | None:
    """Price move per million dollars traded; days without volume are left out."""
    traded = volumes > 0
    if int(traded.sum()) < MIN_VOLATILITY_DAYS:
        return None
    return float(np.mean(np.abs(returns[traded]) / volumes[traded]) * 1e6)


def median_turnover(volumes: Array, caps: Array, days: int = 30) -> float | None:
    known = (caps > 0) & (volumes >= 0)
    ratios = (volumes[known] / caps[known])[-days:]
    return float(np.median(ratios)) if len(ratios) >= days else None


def price_impact(trade_usd: float, pool_side_usd: float) -> float | None:
    """Constant product: what a sale of `trade_usd` loses on price against one side of a pool."""
    return trade_usd / (pool_side_usd + trade_usd) if pool_side_usd > 0 else None


def herfindahl(shares: Sequence[float]) -> float | None:
    """Sum of squared shares after normalising them to one: 1 is a single holder, 1/n is even."""
    weights = array([share for share in shares if share > 0])
    total = float(weights.sum())
    return float(np.sum((weights / total) ** 2)) if total > 0 else None


def gini(shares: Sequence[float]) -> float | None:
    weights = np.sort(array([share for share in shares if share >= 0]))
    count, total = len(weights), float(weights.sum())
    if count < 2 or total <= 0:
        return None
    ranks = np.arange(1, count + 1)
    return float(2 * np.sum(ranks * weights) / (count * total) - (count + 1) / count)


def top_share(shares: Sequence[float], count: int) -> float | None:
    ordered = sorted(shares, reverse=True)
    return float(sum(ordered[:count])) if len(ordered) >= count else None


def implied_supply(caps: Array, prices: Array) -> Array:
    return caps / prices


def supply_change(supply: Array, days: int) -> float | None:
    if len(supply) <= days or supply[-1 - days] <= 0:
        return None
    return float(supply[-1] / supply[-1 - days] - 1.0)


def annualised(change: float, days: int) -> float:
    return float((1.0 + change) ** (DAYS_PER_YEAR / days) - 1.0)
