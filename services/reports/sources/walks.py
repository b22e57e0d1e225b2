"""Random series for the packaged sample: prices that wander or hold a peg, and the volumes that go with them."""

from datetime import date
from typing import Any

import numpy as np

from services.reports.metrics import Array, array

DAYS = 400
LAST_DAY = date(2026, 10, 31).toordinal() - date(1970, 1, 1).toordinal()


def significant(values: Array, digits: int = 6) -> list[float]:
    return [float(f"{value:.{digits}g}") for value in values]


def walk(rng: np.random.Generator, start: float, drift: float, sigma: float, shared: Array) -> Array:
    """Geometric Brownian motion with fat tails and a part shared with the market."""
    own = rng.standard_t(5, DAYS - 1) / np.sqrt(5 / 3)
    steps = drift / 365 + sigma / np.sqrt(365) * (0.6 * own + 0.8 * shared)
    return array(start * np.exp(np.concatenate([[0.0], np.cumsum(steps)])))


def pegged(rng: np.random.Generator) -> Array:
    """Around one, pulled back every day, with one bad week."""
    deviation = np.zeros(DAYS)
    for day in range(1, DAYS):
        deviation[day] = 0.55 * deviation[day - 1] + rng.normal(0, 0.0006)
    shock = np.array([-0.008, -0.031, -0.022, -0.014, -0.009, -0.005, -0.0026, -0.0012])
    deviation[262 : 262 + len(shock)] += shock
    return 1.0 + deviation


def columns(prices: Array, supply: Array, volumes: Array) -> dict[str, Any]:
    return {
        "day": list(range(LAST_DAY - DAYS + 1, LAST_DAY + 1)),
        "price": significant(prices),
        "cap": significant(prices * supply),
        "volume": significant(volumes),
    }


def volumes(rng: np.random.Generator, prices: Array, level: float) -> Array:
    moves = np.abs(np.diff(np.log(prices), prepend=np.log(prices[0])))
    calm = np.exp(rng.normal(0, 0.28, DAYS)) * (1 + 12 * moves)
    return array(level * calm * prices / prices.mean())


def ranges(rng: np.random.Generator, history: dict[str, Any], days: int = 30) -> dict[str, Any]:
    """The highest and lowest price of the last whole days: beyond where each day began and ended."""
    prices = array(history["price"][-days - 1 :])
    begun, ended = prices[:-1], prices[1:]
    reach = np.abs(rng.normal(0, 0.4, (2, days))) * np.std(np.diff(np.log(prices)))
    return {
        "day": history["day"][-days - 1 : -1],
        "high": significant(np.maximum(begun, ended) * np.exp(reach[0])),
        "low": significant(np.minimum(begun, ended) * np.exp(-reach[1])),
    }
