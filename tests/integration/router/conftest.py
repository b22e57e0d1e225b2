"""A router over real HTTP to the scripted provider, with a spool that remembers."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from services.router.app import compose
from shared.cache_memory import MemoryCache
from shared.config.live import LiveConfig
from shared.config.schema import Config
from shared.http_client import HttpClient
from shared.lifecycle import Lifecycle
from shared.messages.gateway import Answer, Call
from shared.service import Resources
from shared.settings import Settings
from shared.tasks import Tasks
from tests.fakes.model_provider import ModelProvider
from tests.fakes.spool import SpoolInMemory

pytestmark = pytest.mark.asyncio


class Bench:
    """A composed router and everything a test wants to look at."""

    def __init__(self, provider: ModelProvider) -> None:
        self.provider = provider
        self.spool = SpoolInMemory()
        self.http = HttpClient()
        self.tasks = Tasks()
        self.lifecycle = Lifecycle()
        self.live = LiveConfig(self.config())
        self.part: Any = None

    def config(self, **sections: Any) -> Config:
        """The usual two providers; models as given."""
        base: dict[str, Any] = {
            "providers": {
                "o": {"protocol": "openai", "base_url": f"{self.provider.url}/v1", "api_key": "sk-o"},
                "a": {"protocol": "anthropic", "base_url": self.provider.url, "api_key": "sk-a"},
            },
            "models": {"m": {"targets": [{"provider": "o", "model": "ok"}]}},
            "routing": {
                "retries": 2,
                "unknown_model": "error",
                "cooldown_seconds": 3,
                "timeouts": {"connect": 1, "first_byte": 0.4, "idle": 0.4, "total": 10},
            },
        }
        for name, section in sections.items():
            merged = isinstance(section, dict) and name != "models"
            base[name] = {**base.get(name, {}), **section} if merged else section
        return Config.model_validate(base)

    def configure(self, models: dict[str, str | list[str]] | None = None, **sections: Any) -> None:
        """Models by name: "o/ok" or several targets, and after ">" the fallbacks."""
        if models is not None:
            sections["models"] = {name: _model(spec) for name, spec in models.items()}
        self.live.replace(self.config(**sections))

    async def compose(self) -> None:
        resources = Resources(
            settings=Settings(),
            config=self.live,
            bus=None,  # type: ignore[arg-type]  # the router sends through the spool only
            cache=MemoryCache(),
            http=self.http,
            spool=self.spool,  # type: ignore[arg-type]  # the same three methods
            tasks=self.tasks,
            lifecycle=self.lifecycle,
            health=None,  # type: ignore[arg-type]  # asked by the process, not by the part
        )
        self.part = await compose(resources)

    async def ask(self, model: str, text: str = "hi", *, dialect: str = "openai", **more: Any) -> Answer:
        """A call with one user message."""
        return await self.part.router.call(call_for(model, text, dialect=dialect, **more))

    async def close(self) -> None:
        await self.tasks.drain(1)
        await self.http.close()


def _model(spec: str | list[str]) -> dict[str, Any]:
    specs = [spec] if isinstance(spec, str) else list(spec)
    targets = [s.split("/", 1) for s in specs if not s.startswith(">")]
    return {
        "targets": [{"provider": provider, "model": model} for provider, model in targets],
        "fallbacks": [s[1:] for s in specs if s.startswith(">")],
    }


def call_for(model: str, text: str = "hi", *, dialect: str = "openai", **more: Any) -> Call:
    """The gateway's call for a request with one user message."""
    import json

    call_fields = {k: more.pop(k) for k in list(more) if k in Call.__struct_fields__ and k not in ("stream",)}
    stream = more.pop("stream", False)
    body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
    if dialect == "anthropic":
        body.setdefault("max_tokens", 100)
    if stream:
        body["stream"] = True
    data = call_fields.pop("body", json.dumps(body).encode())
    return Call(request_id="req_1", dialect=dialect, model=model, body=data, stream=stream, **call_fields)


async def read(answer: Answer) -> bytes:
    """The whole body."""
    return b"".join([chunk async for chunk in answer.chunks])


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(ModelProvider())
        made = Bench(provider)
        stack.push_async_callback(made.close)
        await made.compose()
        yield made
