"""Sections about the ledger: prices, alerts, zone and currency."""

from collections.abc import Callable
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    Field,
    StringConstraints,
    field_validator,
)

from shared import rates
from shared.config.section import Section
from shared.money import per_million


def _holding(check: Callable[[object], object]) -> AfterValidator:
    """What the ledger would refuse when it books is refused when it is read."""

    def checked(value: Any) -> Any:
        check(value)
        return value

    return AfterValidator(checked)


Currency = Annotated[str, StringConstraints(pattern="^[A-Za-z]{3}$", to_upper=True)]
PerThousand = Annotated[float | str, Field(union_mode="left_to_right"), _holding(per_million)]
ExchangeRate = Annotated[float, _holding(rates.checked)]
Threshold = Annotated[float, Field(ge=0.01, le=10)]


class Price(Section):
    """A price per 1,000 tokens, in usage.currency unless it names its own."""

    input: PerThousand
    output: PerThousand
    cache_read: PerThousand | None = None
    cache_write: PerThousand | None = None
    reasoning: PerThousand | None = None
    display_name: str | None = None
    currency: Currency | None = None
    provider: str | None = None


class Alert(Section):
    """A spending limit that tells somebody."""

    name: str = Field(min_length=1)
    period: Literal["day", "month"] = "day"
    limit: float = Field(gt=0, le=1_000_000_000)
    thresholds: tuple[Threshold, ...] = (0.8, 1.0)
    webhook: str | None = Field(None, pattern="^(https?://.+)?$")
    secret: str | None = None
    by: Literal["total", "key", "user", "model", "function", "anchor"] = "total"
    match: str | None = None


class Usage(Section):
    """The ledger."""

    timezone: str = "Asia/Shanghai"
    currency: Currency = "CNY"
    prices: dict[str, Price] = {}
    alerts: tuple[Alert, ...] = ()
    unpriced_ceiling: Price | None = None
    rates: dict[Currency, ExchangeRate] = {}
    event_days: int | None = Field(None, ge=1)
    months_close_after_days: int = Field(7, ge=0)

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"{value!r} is not a time zone") from error
        return value

    @field_validator("alerts")
    @classmethod
    def _told_apart(cls, value: tuple[Alert, ...]) -> tuple[Alert, ...]:
        names = [alert.name for alert in value]
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            # An alert is raised once per name, period and threshold: the second limit would never be told of.
            raise ValueError(f"two alerts are called {doubled[0]!r}")
        return value
