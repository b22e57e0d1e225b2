"""`tollway report` by a server and without one: the same files, exit codes that a script can go by."""

import asyncio
import json
import sys
from contextlib import asynccontextmanager

import pytest
import uvicorn

from tests.integration.reports.desk import USDC, service

TETHER = "0xdac17f958d2ee523a2206206994597c13d831ec7"
OFF = {
    name: {"enabled": False} for name in ("defillama", "dexscreener", "goplus", "honeypot", "ethplorer", "etherscan")
}


@asynccontextmanager
async def behind_a_socket(app):
    """The address of an app served over HTTP."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off", ws="none", access_log=False))
    serving = asyncio.get_running_loop().create_task(server._serve())
    try:
        async with asyncio.timeout(10):
            while not server.started:
                await asyncio.sleep(0.005)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


@asynccontextmanager
async def served(folder, **section):
    async with service(folder, reports=section) as client, behind_a_socket(client.part.http) as url:
        yield client, url


async def report(url, out, *arguments):
    """Exit code, stdout lines and stderr of the command."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services", "report", *arguments, "--out", str(out),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={"TOLLWAY_URL": url, "PATH": "/usr/bin:/bin", "HOME": str(out)},
    )  # fmt: skip
    told, said = await process.communicate()
    return process.returncode, told.decode().splitlines(), said.decode()


async def test_a_report_by_the_server_is_the_report_made_here(tmp_path):
    asked = ("usd-coin", USDC, "--sample", "--no-insight", "--format", "html,json")
    async with served(tmp_path) as (client, url):
        code, paths, said = await report(url, tmp_path / "there", *asked)
        _, page = await client("GET", "/v1/reports", headers={"x-tollway-admin": "1"})
        assert (code, len(paths), len(page["data"])) == (0, 2, 1)
        assert "[100%] store" in said
        code, _, _ = await report(url, tmp_path / "here", *asked, "--here")
        assert code == 0
        _, page = await client("GET", "/v1/reports", headers={"x-tollway-admin": "1"})
        assert len(page["data"]) == 1
    code, _, said = await report(url, tmp_path / "alone", *asked)
    assert (code, "answered" in said) == (0, False)
    for name in ("usd-coin_report.html", "usd-coin_report.json"):
        made = {(tmp_path / place / name).read_bytes() for place in ("there", "here", "alone")}
        assert len(made) == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("usd-coin", TETHER, "--sample"), 3),
        (("usd-coin", "0x12", "--sample"), 2),
        (("usd-coin", USDC, "--sample", "--format", "doc"), 2),
    ],
)
async def test_exit_codes_are_the_same_with_a_server_and_without(tmp_path, arguments, expected):
    async with served(tmp_path) as (_, url):
        assert [(await report(place, tmp_path, *arguments))[0] for place in (url, "http://127.0.0.1:9")] == [
            expected
        ] * 2


async def test_a_token_that_no_source_answers_for_is_no_data(tmp_path):
    sources = {**OFF, "coingecko": {"base_url": "http://127.0.0.1:9"}}
    async with served(tmp_path, data_sources=sources) as (client, url):
        code, paths, said = await report(url, tmp_path / "out", "usd-coin", USDC, "--no-insight")
        _, page = await client("GET", "/v1/reports", headers={"x-tollway-admin": "1"})
    assert (code, paths) == (4, [])
    assert "no source gave any data" in said
    assert page["data"][0]["status"] == "partial"
    config = tmp_path / "here.yaml"
    config.write_text(json.dumps({"reports": {"data_sources": sources}}))
    assert (await report(url, tmp_path / "out", "usd-coin", USDC, "--no-insight", "--config", str(config)))[0] == 4


async def test_a_server_that_refuses_us_is_named_and_the_report_made_here(tmp_path):
    async def closed(scope, receive, send):
        await send({"type": "http.response.start", "status": 401, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async with behind_a_socket(closed) as url:
        code, paths, said = await report(url, tmp_path, "usd-coin", USDC, "--sample", "--no-insight")
    assert (code, len(paths)) == (0, 1)
    assert f"{url} answered 401; the report is made here" in said
