"""The configuration file as frozen models: every key an operator may write, with its default."""

from collections.abc import Callable
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    StringConstraints,
    field_validator,
    model_validator,
)

from shared import rates
from shared.money import per_million

Seconds = float


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


class Section(BaseModel):
    """A part of the file: unknown keys are faults, and nothing changes after reading."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


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


_BASES = ("/v1", "/api/v1")
_TAKEN = frozenset(
    {
        *("/health", "/ready", "/metrics", "/docs", "/openapi.json", "/api/tools", "/api/servers"),
        *("/api/chat/stream", "/api/chat/stream/direct", "/api/chat/abort"),
        *(f"{base}/{name}" for base in _BASES for name in ("messages", "embeddings", "models")),
    }
)
_TAKEN_BELOW = ("/admin/", "/api/ai_usage/", "/v1/reports/", "/static/", *(f"{base}/messages/" for base in _BASES))


class ChatPaths(Section):
    """Paths that answer chat completions: the defaults replaced, prefixed, or joined by more."""

    replace: tuple[str, ...] = ()
    prefix: tuple[str, ...] = ()
    append: tuple[str, ...] = ()

    @field_validator("replace", "append")
    @classmethod
    def _free(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for path in value:
            if path.rstrip("/") in _TAKEN or f"{path}/".startswith(_TAKEN_BELOW):
                raise ValueError(f"{path!r} already answers something else")
        return value

    @field_validator("replace", "prefix", "append")
    @classmethod
    def _slash(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for path in value:
            if not path.startswith("/"):
                raise ValueError(f"{path!r} must begin with /")
        return value


class Sessions(Section):
    """Conversation histories kept for clients."""

    ttl_seconds: Seconds = Field(1800, gt=0)
    max_sessions: int = Field(10_000, ge=1)
    clean_every_seconds: Seconds = Field(600, gt=0)


class PromptCache(Section):
    """Answers replayed for an equal question."""

    enabled: bool = False
    ttl_seconds: Seconds = Field(1800, gt=0)
    last_messages: int = Field(6, ge=1)
    protocols: tuple[Literal["openai", "anthropic"], ...] = ("anthropic",)


class McpServer(Section):
    """An MCP server: a command run here, or a URL."""

    command: tuple[str, ...] = ()
    env: dict[str, str] = {}
    cwd: str | None = None
    url: str | None = None
    headers: dict[str, str] = {}
    allow_private: bool = True
    idempotent: tuple[str, ...] | bool = False
    timeout_seconds: Seconds = Field(60, gt=0, le=1200)
    connect_seconds: Seconds | None = Field(None, gt=0, le=120)
    pool: str = "mcp"
    pinned: dict[str, str] = {}

    @model_validator(mode="after")
    def _one(self) -> Self:
        if bool(self.command) == bool(self.url):
            raise ValueError("give either command or url")
        return self

    @property
    def patience_seconds(self) -> float:
        """How long a connection may take: a command may have to be downloaded by its runner first."""
        return self.connect_seconds or (30 if self.command else 10)


class UnifAI(Section):
    """The UnifAI agent network."""

    api_key: str = ""
    base_url: str = "https://backend.unifai.network/api/v1"
    static_actions: tuple[str, ...] = ()
    static_toolkits: tuple[str, ...] = ()
    allow_actions: tuple[str, ...] = ("*",)
    allow_payments: bool = False


class ToolLimits(Section):
    """What one request may spend on tools."""

    rounds: int = Field(10, ge=1, le=25)
    calls: int = Field(50, ge=1)
    seconds: Seconds = Field(120, gt=0)
    parallel: int = Field(4, ge=1)
    result_bytes: int = Field(1_048_576, ge=1024)
    summarise_over_tokens: int = Field(4000, ge=1)
    call_seconds: Seconds = Field(60, gt=0, le=1200)


class Tools(Section):
    """Tools that run on our workers."""

    python: tuple[str, ...] = ()
    mcp: dict[str, McpServer] = {}
    unifai: UnifAI = UnifAI()
    builtin: bool = True
    limits: ToolLimits = ToolLimits()
    summary_model: str | None = None
    allow_private_fetch: bool = False
    allow_fetch_hosts: tuple[str, ...] = ()
    concurrency: int = Field(16, ge=1)


class Byo(Section):
    """Endpoints that a request names itself."""

    enabled: bool = True
    allow_private: bool = False
    allow_hosts: tuple[str, ...] = ()


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


class DataSource(Section):
    """A market data API."""

    base_url: str | None = None
    api_key: str = ""
    enabled: bool = True


class Reports(Section):
    """Report jobs."""

    directory: str | None = None
    retention_days: int = Field(30, ge=1)
    insight_model: str | None = None
    data_sources: dict[str, DataSource] = {}
    workers: int = Field(1, ge=1, le=16)
    running_per_owner: int = Field(4, ge=1)


class Config(Section):
    """The whole file."""

    providers: dict[str, Provider] = {}
    models: dict[str, Model] = {}
    demo: bool = True
    routing: Routing = Routing()
    chat_paths: ChatPaths = ChatPaths()
    sessions: Sessions = Sessions()
    cache: PromptCache = PromptCache()
    tools: Tools = Tools()
    byo: Byo = Byo()
    usage: Usage = Usage()
    reports: Reports = Reports()

    @model_validator(mode="before")
    @classmethod
    def _no_nulls(cls, data: Any) -> Any:
        """A section that is present but empty means its defaults."""
        if isinstance(data, dict):
            return {key: value for key, value in data.items() if value is not None}
        return data

    def faults(self) -> list[str]:
        """What fits the shape but not together: names that nothing defines."""
        found: list[str] = []
        for name, model in self.models.items():
            for index, target in enumerate(model.targets):
                if target.provider not in self.providers and not (target.provider == "demo" and self.demo):
                    found.append(f"models.{name}.targets.{index}.provider: no provider {target.provider!r}")
            for index, fallback in enumerate(model.fallbacks):
                if fallback not in self.models and not (fallback == "demo" and self.demo):
                    found.append(f"models.{name}.fallbacks.{index}: no model {fallback!r}")
        return found
