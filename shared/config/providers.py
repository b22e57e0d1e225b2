"""Sections about who answers: providers, the models they serve, and how a target is chosen."""

from typing import Literal, Self

from pydantic import Field, HttpUrl, field_validator, model_validator

from shared.config.section import Seconds, Section


class Timeouts(Section):
    """Deadlines of an upstream attempt."""

    connect: Seconds = Field(5, gt=0, le=600)
    first_byte: Seconds = Field(60, gt=0, le=3600)
    idle: Seconds = Field(60, gt=0, le=3600)
    total: Seconds = Field(600, gt=0, le=86_400)


class Provider(Section):
    """An endpoint that serves models, and our credentials there."""

    protocol: Literal["openai", "anthropic", "demo"] = "openai"
    base_url: str = ""
    api_key: str = ""
    api_keys: tuple[str, ...] = ()
    headers: dict[str, str] = {}
    beta: tuple[str, ...] = ()
    anthropic_version: str = "2023-06-01"
    timeouts: dict[Literal["connect", "first_byte", "idle", "total"], Seconds] = {}
    proxy: str | None = None
    list_models: bool | None = None
    max_tokens: int = Field(8192, ge=1)
    max_tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_tokens"
    reasoning_content: bool = False

    @field_validator("base_url")
    @classmethod
    def _http(cls, value: str) -> str:
        if value:
            HttpUrl(value)
        return value.rstrip("/")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.protocol != "demo" and not self.base_url:
            raise ValueError("base_url is missing")
        return self

    @property
    def keys(self) -> tuple[str, ...]:
        """All credentials, the single one first, empty ones left out."""
        return tuple(key for key in (self.api_key, *self.api_keys) if key)


class Target(Section):
    """A provider and the name a model has there."""

    provider: str
    model: str
    weight: float = Field(1, ge=0)


class Model(Section):
    """A name clients use."""

    targets: tuple[Target, ...] = Field(min_length=1)
    fallbacks: tuple[str, ...] = ()
    display_name: str | None = None
    max_tokens: int | None = Field(None, ge=1)


class Routing(Section):
    """How a target is chosen and what happens when it fails."""

    strategy: Literal["success_rate", "weighted", "latency", "cost"] = "success_rate"
    cooldown_seconds: Seconds = Field(300, ge=0)
    probe_seconds: Seconds = Field(15, gt=0)
    retries: int = Field(2, ge=0, le=10)
    unknown_model: Literal["auto", "error"] = "auto"
    health_check_seconds: Seconds = Field(1800, gt=0)
    model_list_seconds: Seconds = Field(3600, gt=0)
    timeouts: Timeouts = Timeouts()
