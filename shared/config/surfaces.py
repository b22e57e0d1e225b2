"""Sections about what clients see: chat paths, conversations, replayed answers, endpoints of their own."""

from typing import Literal

from pydantic import Field, field_validator

from shared.config.section import Seconds, Section

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


class Byo(Section):
    """Endpoints that a request names itself."""

    enabled: bool = True
    allow_private: bool = False
    allow_hosts: tuple[str, ...] = ()
