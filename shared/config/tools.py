"""Sections about tools that run on our workers."""

from typing import Self

from pydantic import Field, model_validator

from shared.config.section import Seconds, Section


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
