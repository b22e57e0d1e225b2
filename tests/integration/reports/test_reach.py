"""The transport of the data providers over a real socket: each way to fail has its own reason."""

import pytest
from aiohttp import web

from services.reports.reach import DataTransport
from services.reports.sources.base import SourceError
from shared.http_client import HttpClient


@pytest.fixture
async def origin():
    async def large(request):
        return web.Response(body=b"x" * 5000)

    app = web.Application()
    app.router.add_get("/large", large)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.mark.parametrize(
    ("path", "headers", "reason"),
    [
        ("/large", {}, "too_large"),
        ("/large", {"x-api-key": "two\nlines"}, "unreachable"),
        (None, {}, "unreachable"),
    ],
)
async def test_only_a_body_over_the_cap_is_called_too_large(origin, path, headers, reason):
    http = HttpClient()
    url = "http:///nowhere" if path is None else origin + path
    try:
        with pytest.raises(SourceError, match=reason):
            await DataTransport(http).get(url, headers=headers, timeout_seconds=5, max_bytes=1000)
    finally:
        await http.close()
