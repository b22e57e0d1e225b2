"""What a call costs: the built-in table in CNY per 1,000 tokens, and the prices a program adds to it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar, TypedDict

from tollway.usage.tokens import Tokens

NANO = Decimal("0.000000001")


class _Price(TypedDict):
    input: float
    output: float


class Price(_Price, total=False):
    """Prices of one model per 1,000 tokens; cached input costs the input price unless given."""

    cache_read: float
    cache_write: float
    display_name: str
    currency: str


class ModelPricing:
    """The price table. Add or override models in `CUSTOM_PRICING`; it is read on every call."""

    PRICING: ClassVar[Mapping[str, Price]] = {
        "qwen-plus": {"input": 0.0004, "output": 0.002, "display_name": "Qwen-Plus"},
        "qwen-turbo": {"input": 0.0003, "output": 0.0006, "display_name": "Qwen-Turbo"},
        "qwen-max": {"input": 0.02, "output": 0.06, "display_name": "Qwen-Max"},
        "gpt-4": {"input": 0.21, "output": 0.42, "display_name": "GPT-4"},
        "gpt-3.5-turbo": {"input": 0.0035, "output": 0.007, "display_name": "GPT-3.5-Turbo"},
    }
    CUSTOM_PRICING: ClassVar[dict[str, Price]] = {}

    @classmethod
    def find(cls, model: str | None) -> Price | None:
        """The price of a model, whatever the case of its name; None when it is not known."""
        if not model:
            return None
        for table in (cls.CUSTOM_PRICING, cls.PRICING):
            price = table.get(model) or _ignoring_case(table, model)
            if price is not None:
                return price
        return None

    @classmethod
    def is_custom(cls, model: str) -> bool:
        """Whether the program itself set the price of a model."""
        return model in cls.CUSTOM_PRICING or _ignoring_case(cls.CUSTOM_PRICING, model) is not None

    @classmethod
    def display_name(cls, model: str) -> str:
        """The name to show for a model."""
        price = cls.find(model)
        return price.get("display_name", model) if price else model

    @classmethod
    def cost(cls, model: str | None, tokens: Tokens) -> float | None:
        """The cost exact to the nano-unit; None when the price or the tokens are not known."""
        price = cls.find(model)
        if price is None or tokens.input is None or tokens.output is None:
            return None
        read, write = tokens.cache_read or 0, tokens.cache_write or 0
        fresh = max(tokens.input - read - write, 0)
        parts = (
            (fresh, price["input"]),
            (read, price.get("cache_read", price["input"])),
            (write, price.get("cache_write", price["input"])),
            (tokens.output, price["output"]),
        )
        # str() first: 0.0004 is meant, not the binary fraction next to it
        total = sum((Decimal(count) * Decimal(str(per_1k)) for count, per_1k in parts), Decimal(0)) / 1000
        return float(total.quantize(NANO))


def _ignoring_case(table: Mapping[str, Price], model: str) -> Price | None:
    wanted = model.casefold()
    return next((price for name, price in table.items() if name.casefold() == wanted), None)
