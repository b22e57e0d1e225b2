"""token_market asks the data source that the reports use, and tells what it said."""

import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from services.tools.errors import ToolFailed
from services.tools.providers.base import Context
from services.tools.providers.builtin import BuiltinProvider
from shared.cache_memory import MemoryCache
from shared.config import LiveConfig
from shared.config.schema import Config
from shared.http_client import HttpClient


@pytest.fixture
async def provider() -> AsyncIterator[BuiltinProvider]:
    async def markets(request: web.Request) -> web.Response:
        if request.query["ids"] == "nothing":
            return web.json_response([])
        if request.query["ids"] == "broken":
            return web.Response(status=500)
        key = request.headers.get("x-cg-demo-api-key")
        row = {"id": request.query["ids"], "name": key, "current_price": 1.0, "extra": "left out"}
        return web.json_response([row])

    app = web.Application()
    app.router.add_get("/coins/markets", markets)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
    config = Config.model_validate({"reports": {"data_sources": {"coingecko": {"base_url": url, "api_key": "k"}}}})
    http = HttpClient()
    yield BuiltinProvider(LiveConfig(config), http, MemoryCache())
    await http.close()
    await runner.cleanup()


async def ask(provider: BuiltinProvider, token: str) -> str:
    spec = next(spec for spec in provider.tools() if spec.name == "builtin__token_market")
    return (await provider.run(spec, {"token": token}, Context("c", None, 5, 1000, lambda piece: None))).text


async def test_a_tokens_market_is_told(provider: BuiltinProvider) -> None:
    told = json.loads(await ask(provider, "usd-coin"))
    assert (told["id"], told["name"], told["current_price"], told["currency"]) == ("usd-coin", "k", 1.0, "usd")
    assert "extra" not in told


async def test_an_unknown_token_and_a_broken_source_are_told_apart(provider: BuiltinProvider) -> None:
    with pytest.raises(ToolFailed, match="no market data"):
        await ask(provider, "nothing")
    with pytest.raises(ToolFailed, match="answered 500"):
        await ask(provider, "broken")
