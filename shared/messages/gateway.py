"""What the gateway asks of the router, and how the router's answer comes back."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal, Protocol

import msgspec

from shared.messages.envelope import Named
from shared.wire.usage import TokenUsage

Dialect = Literal["openai", "anthropic"]
Operation = Literal["chat", "count_tokens", "embeddings"]


class Byo(msgspec.Struct, frozen=True, omit_defaults=True):
    """An endpoint the request itself names; only ever used under the SSRF guard."""

    base_url: str
    api_key: str


class Call(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One model call in the client's dialect. `body` is JSON with the gateway's own fields already taken out."""

    request_id: str
    dialect: Dialect
    model: str
    body: bytes
    operation: Operation = "chat"
    stream: bool = False
    include_usage: bool = False
    named: Named = Named()
    headers: dict[str, str] = {}
    query: str = ""
    first_attempt: int = 1
    byo: Byo | None = None
    traceparent: str | None = None
    exact: bool = False  # the caller may not use `auto`, so no other model may stand in for a name that is not known


class Spent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one upstream attempt used, for settling budgets; the ledger has its own copy in AttemptEnded."""

    provider: str
    model: str
    requested_model: str
    usage: TokenUsage | None = None
    usage_source: str = "none"


class Ending(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Known once the last chunk was taken: how it ended and what it cost."""

    status: str = "ok"  # ok | error | aborted | interrupted
    attempts: int = 1
    spent: list[Spent] = []
    usage: TokenUsage | None = None
    error: str | None = None
    transcript: list[dict[str, Any]] | None = None  # messages to append to the history, in the call's dialect


class Answer(Protocol):
    """A status, headers for the client and a body that is pulled; closing it early cancels everything behind it."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def chunks(self) -> AsyncIterator[bytes]: ...
    @property
    def ending(self) -> Ending | None: ...

    async def close(self, status: str = "aborted") -> None:
        """Stop now: `aborted` (client left) or `interrupted` (we are stopping). Idempotent; awaits the booking."""


class Answerer(Protocol):
    """Whatever can answer a call: the router, and what wraps it (prompt cache, tool loop)."""

    async def call(self, call: Call) -> Answer: ...


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A model as clients may see it."""

    id: str
    created: int = 0
    owned_by: str = "tollway"
    display_name: str | None = None
    protocols: list[str] = []


class Router(Answerer, Protocol):
    """The router as the gateway sees it: over HTTP when split, without a socket in one process."""

    async def models(self) -> list[ModelInfo]: ...
    async def explain(self) -> dict[str, Any]: ...
