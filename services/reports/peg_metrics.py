"""Formulas over a peg: how far a price stands from its target, how often, and how fast it comes back."""

from math import log

import numpy as np

from services.reports.metrics import MIN_RATIO_DAYS, MIN_VOLATILITY_DAYS, Array, ratio


def peg_deviation(prices: Array, target: float = 1.0) -> Array:
    """Basis points of the target, positive above it."""
    return (prices - target) / target * 1e4


def days_beyond(deviation: Array, bps: float) -> int:
    return int(np.sum(np.abs(deviation) > bps))


def percentile_deviation(deviation: Array, percent: float = 95.0) -> float | None:
    return float(np.percentile(np.abs(deviation), percent)) if len(deviation) >= MIN_VOLATILITY_DAYS else None


def recovery_days(deviation: Array, bps: float = 25.0) -> float | None:
    """Median length of the finished spells outside ±`bps`; None when there was none."""
    lengths: list[int] = []
    run = 0
    for outside in np.abs(deviation) > bps:
        if outside:
            run += 1
        elif run:
            lengths.append(run)
            run = 0
    return float(np.median(lengths)) if lengths else None


def half_life(deviation: Array) -> float | None:
    """Days for half of a deviation to fade, from a first-order autoregression around the mean."""
    if len(deviation) < MIN_RATIO_DAYS:
        return None
    centred = deviation - np.mean(deviation)
    before, after = centred[:-1], centred[1:]
    coefficient = ratio(float(np.sum(before * after)), float(np.sum(before**2)))
    if coefficient is None or not 0.0 < coefficient < 1.0:
        return None
    return log(0.5) / log(coefficient)
