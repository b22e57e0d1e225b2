"""The bundled data of `genai-prices` as a price source: thousands of models in USD, offline, pinned."""

import importlib
from decimal import Decimal
from functools import lru_cache
from importlib.metadata import version
from typing import Any

from shared.clock import from_unix
from shared.money import NANO
from shared.prices import Price, Tier

_SLOT_SECONDS = 1800  # prices change on a date or on a half hour of the day, nothing finer
_UNITS = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "output_reasoning_mtok": "reasoning",
}


def find(provider: str | None, model: str, at: float) -> Price | None:
    """The price of a model at a Unix time: at that provider if it is known, else at its maker."""
    return _find(provider, model, int(at // _SLOT_SECONDS))


def load() -> None:
    """Read the tables now, so that the first look-up does not wait a second for them."""
    _snapshot()


def release() -> str:
    """Which release of the data is in use."""
    return version("genai-prices")


@lru_cache(maxsize=20_000)
def _find(provider: str | None, model: str, slot: int) -> Price | None:
    snapshot = _snapshot()
    for provider_id in (provider, None) if provider else (None,):
        try:
            maker, info = snapshot.find_provider_model(model, None, provider_id, None)
        except LookupError:
            continue
        prices = info.get_prices(from_unix(slot * _SLOT_SECONDS))
        if (price := _price(maker.id, model, prices)) is not None:
            return price
    return None


@lru_cache(maxsize=1)
def _snapshot() -> Any:
    # Loads 1.6 MB of tables: only the process that prices events should pay for it.
    return importlib.import_module("genai_prices.data_snapshot").get_snapshot()


def _price(maker: str, model: str, prices: Any) -> Price | None:
    if prices.input_mtok is None and prices.output_mtok is None:
        return None
    starts = sorted({tier.start for name in _UNITS for tier in getattr(getattr(prices, name), "tiers", ())})
    tiers = tuple(_tier(prices, over) for over in (-1, *starts))
    return Price(
        model=model,
        provider=maker,
        currency="USD",
        tiers=tiers,
        source="genai-prices",
        version=f"genai-prices {release()}",
    )


def _tier(prices: Any, over: int) -> Tier:
    units = {unit: _nano(getattr(prices, name), over) for name, unit in _UNITS.items()}
    # Embeddings have no output price: tokens that come out all the same are unpriced, not free.
    return Tier(
        over=over,
        input=units["input"],
        output=units["output"],
        cache_read=units["cache_read"],
        cache_write=units["cache_write"],
        reasoning=units["reasoning"],
    )


def _nano(price: Any, over: int) -> int | None:
    """Nano-units per million tokens in the tier for calls of more than `over` input tokens."""
    if price is None:
        return None
    amount = price if isinstance(price, Decimal) else price.base
    for tier in getattr(price, "tiers", ()):
        if over >= tier.start:
            amount = tier.price
    return round(amount * NANO)
