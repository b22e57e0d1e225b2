"""fetch_url against servers here: private addresses, redirects to them and names that lead to them are refused alike."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from services.tools.errors import ToolFailed
from services.tools.providers.base import Outcome
from services.tools.providers.fetch import REFUSED, fetch_url
from shared import security
from shared.config.tools import Tools
from shared.http_client import HttpClient

PAGE = "<html><head><style>x{}</style><script>evil()</script></head><body><h1>Toll</h1><p>five &euro;</p></body></html>"


@pytest.fixture
async def site() -> AsyncIterator[str]:
    async def page(request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def away(request: web.Request) -> web.Response:
        raise web.HTTPFound(request.query["to"])

    async def again(request: web.Request) -> web.Response:
        raise web.HTTPFound("/again")

    async def image(request: web.Request) -> web.Response:
        return web.Response(body=b"\x89PNG", content_type="image/png")

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/plain"})
        await response.prepare(request)
        for _ in range(10_000):
            await response.write(b"x" * 65_536)
        return response

    app = web.Application()
    for path, handler in {"/page": page, "/away": away, "/again": again, "/image": image, "/endless": endless}.items():
        app.router.add_get(path, handler)
    runner = web.AppRunner(app)
    await runner.setup()
    server = web.TCPSite(runner, "127.0.0.1", 0)
    await server.start()
    yield f"http://127.0.0.1:{server._server.sockets[0].getsockname()[1]}"
    await runner.cleanup()


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    client = HttpClient()
    yield client
    await client.close()


async def fetch(http: HttpClient, url: str, **settings: Any) -> Outcome:
    return await fetch_url(url, 10_000, http, Tools(**settings))


async def test_a_page_is_read_as_text(http: HttpClient, site: str) -> None:
    outcome = await fetch(http, f"{site}/page", allow_private_fetch=True)
    assert "Toll\nfive €" in outcome.text
    assert "evil" not in outcome.text


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/",
        "http://localhost/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/",
        "http://0.0.0.0/",
        "file:///etc/passwd",
        "ftp://example.com/",
        "http://user:pass@example.com/",
        "http://2130706433/",
        "http://0x7f.1/",
    ],
)
async def test_an_address_that_is_not_public_is_refused_in_the_same_words(http: HttpClient, url: str) -> None:
    with pytest.raises(ToolFailed) as refused:
        await fetch(http, url)
    assert refused.value.error_code in ("address_refused", "tool_failed")
    assert refused.value.error_code == "address_refused" or "could not be read" in refused.value.message


async def test_a_redirect_to_a_private_address_is_refused(http: HttpClient, site: str) -> None:
    port = site.rsplit(":", 1)[1]
    allowed = (f"127.0.0.1:{port}",)
    assert "Toll" in (await fetch(http, f"{site}/away?to=/page", allow_fetch_hosts=allowed)).text
    with pytest.raises(ToolFailed, match=REFUSED):
        await fetch(http, f"{site}/away?to=http://127.0.0.2:{port}/page", allow_fetch_hosts=allowed)
    with pytest.raises(ToolFailed, match="redirects"):
        await fetch(http, f"{site}/again", allow_fetch_hosts=allowed)


async def test_a_name_that_changes_its_address_between_check_and_connection_is_refused(
    http: HttpClient, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(["93.184.216.34", "127.0.0.1", "127.0.0.1"])

    async def rebinding(host: str, port: int) -> list[security.Address]:
        return [security.ipaddress.ip_address(next(answers))]

    monkeypatch.setattr(security, "resolve", rebinding)
    with pytest.raises(ToolFailed, match=REFUSED):
        await fetch(http, f"http://rebinding.test:{site.rsplit(':', 1)[1]}/page")


async def test_what_is_not_text_or_has_no_end_is_refused(http: HttpClient, site: str) -> None:
    with pytest.raises(ToolFailed, match="not text"):
        await fetch(http, f"{site}/image", allow_private_fetch=True)
    with pytest.raises(ToolFailed, match="larger"):
        async with asyncio.timeout(20):
            await fetch(http, f"{site}/endless", allow_private_fetch=True)
