"""A composed ledger for tests: the real one, on a fresh database, with its HTTP surface called without a socket."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from services.usage import app as usage
from services.usage.ledger import Ledger
from shared import clock, ids
from shared.bus import make_bus
from shared.cache import make_cache
from shared.config import LiveConfig
from shared.config.schema import Config
from shared.database import Database
from shared.health import Health
from shared.http_client import HttpClient
from shared.lifecycle import Lifecycle
from shared.messages.envelope import Named
from shared.messages.router import AttemptEnded
from shared.service import Resources
from shared.settings import settings_from
from shared.spool import Spool
from shared.tasks import Tasks
from shared.wire.usage import TokenUsage


@dataclass
class Books:
    """A ledger with its client."""

    ledger: Ledger
    client: httpx2.AsyncClient
    resources: Resources

    async def get(self, path: str, **params: Any) -> Any:
        """The JSON of a successful GET below /api/ai_usage/."""
        answer = await self.client.get(f"/api/ai_usage/{path}", params=params or None)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, body: Any = None, **params: Any) -> Any:
        """The JSON of a successful POST below /api/ai_usage/."""
        answer = await self.client.post(f"/api/ai_usage/{path}", json=body, params=params or None)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()


@asynccontextmanager
async def opened(
    folder: Path,
    config: dict[str, Any] | None = None,
    *,
    url: str | None = None,
    bus: str = "memory://",
    **environment: str,
) -> AsyncIterator[Books]:
    """A ledger that is migrated and answers; its workers are not running."""
    variables = {"TOLLWAY_DATA": str(folder), **environment}
    if url:
        variables["TOLLWAY_DATABASE_URL"] = url
    settings = settings_from(variables, folder)
    live = LiveConfig(Config.model_validate(config or {}))
    lifecycle = Lifecycle()
    resources = Resources(
        settings,
        live,
        make_bus(bus),
        make_cache("memory://"),
        HttpClient(),
        Spool(folder / "spool", limit_bytes=1 << 20),
        Tasks(),
        lifecycle,
        Health(live, lifecycle),
        Database(settings.database),
    )
    await resources.bus.open()
    resources.database.require("usage", usage.MIGRATIONS)
    await resources.database.open()
    ledger = usage.assemble(resources)
    transport = httpx2.ASGITransport(app=usage.routes(ledger))
    try:
        async with httpx2.AsyncClient(transport=transport, base_url="http://usage") as client:
            yield Books(ledger, client, resources)
    finally:
        await resources.tasks.drain(2)
        await resources.bus.close()
        await resources.database.close()
        await resources.http.close()
        resources.spool.close()


def ended(
    model: str = "qwen-plus",
    input_tokens: int | None = 2000,
    output_tokens: int | None = 700,
    *,
    at: float | None = None,
    **fields: Any,
) -> AttemptEnded:
    """An attempt that ended."""
    named = Named(**{name: fields.pop(name) for name in Named.__struct_fields__ if name in fields})
    usage_told = fields.pop("usage", TokenUsage(input_tokens, output_tokens))
    values: dict[str, Any] = {
        "event_id": ids.new_id(),
        "request_id": ids.request_id(),
        "attempt": 1,
        "timestamp": clock.now() if at is None else at,
        "named": named,
        "provider": "openai",
        "model": model,
        "requested_model": model,
        "usage": usage_told,
        "usage_source": "provider" if usage_told.is_told else "none",
        "duration_ms": 1234.5,
        "ttft_ms": 100.0,
    }
    return AttemptEnded(**{**values, **fields})
