"""Where an MCP server over HTTP may be: private addresses, redirects to them and names that change are refused."""

import ipaddress
from collections.abc import AsyncIterator

import httpx2
import pytest
from aiohttp import web

from services.tools.providers.mcp_http import GuardedTransport
from shared import security
from tests.integration.tools.test_mcp_servers import held

OUTSIDE, INSIDE = "127.0.0.9", "127.0.0.1"  # in these tests only the first counts as public
pytestmark = pytest.mark.timeout(60)


class Site:
    """Remembers at which address it was reached; `/away` sends on to the other one."""

    def __init__(self) -> None:
        self.reached: list[str] = []
        self.port = 0

    async def answer(self, request: web.Request) -> web.Response:
        self.reached.append(request.transport.get_extra_info("sockname")[0])
        if request.path == "/away":
            raise web.HTTPTemporaryRedirect(f"http://{INSIDE}:{self.port}/mcp")
        return web.json_response({})


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    found, app = Site(), web.Application()
    app.router.add_route("*", "/{path:.*}", found.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    listening = web.TCPSite(runner, "0.0.0.0", 0)
    await listening.start()
    found.port = runner.addresses[0][1]
    yield found
    await runner.cleanup()


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What names resolve to, one look-up after the other."""
    answers: list[str] = []

    async def resolve(host: str, port: int) -> list[security.Address]:
        plain = host if host[0].isdigit() else answers.pop(0)
        return [ipaddress.ip_address(plain)]

    monkeypatch.setattr(security, "resolve", resolve)
    monkeypatch.setattr(security, "is_public", lambda address: str(address) == OUTSIDE)
    return answers


async def test_a_private_address_is_refused(site: Site) -> None:
    async with held(url=f"http://{INSIDE}:{site.port}/mcp", allow_private=False) as server:
        assert server.owner.status().state == "down"
        assert server.owner.specs == []
    assert site.reached == []


async def test_a_redirect_to_a_private_address_is_not_followed(site: Site, resolved: list[str]) -> None:
    async with held(url=f"http://{OUTSIDE}:{site.port}/away", allow_private=False) as server:
        assert server.owner.status().state == "down"
    assert set(site.reached) == {OUTSIDE}
    assert resolved == []


async def test_a_name_is_reached_where_it_was_checked_and_checked_every_time(site: Site, resolved: list[str]) -> None:
    resolved += [OUTSIDE, INSIDE]
    async with httpx2.AsyncClient(transport=GuardedTransport(guard=True), trust_env=False) as client:
        assert (await client.get(f"http://rebinding.test:{site.port}/mcp")).status_code == 200
        with pytest.raises(httpx2.ConnectError):
            await client.get(f"http://rebinding.test:{site.port}/mcp")
    assert site.reached == [OUTSIDE]
