"""The router over HTTP, as a gateway in another process meets it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from services.router.routes import Routes
from shared.messages.router_wire import CALL_PATH, FRAMES, FrameReader, encode_call
from tests.integration.router.conftest import Bench, call_for


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    config = uvicorn.Config(app, port=0, log_config=None, lifespan="off", ws="none", access_log=False)
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.ensure_future(server._serve())
    try:
        async with asyncio.timeout(5):
            while not server.started:
                await asyncio.sleep(0.005)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_arrives_in_frames_with_its_ending_behind(bench: Bench, stream: bool) -> None:
    async with served(bench.part.http) as url:
        data = encode_call(call_for("m", stream=stream))
        response = await bench.http.session().post(url + CALL_PATH, data=data)
        reader = FrameReader()
        body = b"".join([piece async for chunk in response.content.iter_any() for piece in reader.feed(chunk)])
    assert (response.status, response.headers[FRAMES], response.headers["x-tollway-model"]) == (200, "1", "ok")
    assert b"Tollway" in body
    assert reader.ending is not None
    assert (reader.ending.status, reader.ending.attempts) == ("ok", 1)
    assert reader.ending.usage == bench.spool.ended[0].usage
    assert reader.ending.spent[0].requested_model == "m"


async def test_frames_survive_any_split(bench: Bench) -> None:
    async with served(bench.part.http) as url:
        response = await bench.http.session().post(url + CALL_PATH, data=encode_call(call_for("m", stream=True)))
        whole = await response.read()
    reference = FrameReader()
    wanted = b"".join(reference.feed(whole))
    for size in (1, 2, 3, 7, 64):
        reader = FrameReader()
        pieces = [piece for at in range(0, len(whole), size) for piece in reader.feed(whole[at : at + size])]
        assert b"".join(pieces) == wanted
        assert reader.ending == reference.ending


@pytest.mark.parametrize("model", ["slow-100", "hang"])
async def test_a_gateway_that_leaves_cuts_the_provider(bench: Bench, model: str) -> None:
    bench.configure({"m": f"o/{model}"}, routing={"timeouts": {"first_byte": 30}})
    async with served(bench.part.http) as url:
        asking = asyncio.ensure_future(
            bench.http.session().post(url + CALL_PATH, data=encode_call(call_for("m", stream=True)))
        )
        await bench.provider.until(lambda: bool(bench.provider.calls))
        if model == "slow-100":
            response = await asking
            await response.content.readany()
            response.close()
        else:
            asking.cancel()
        await bench.spool.until(lambda: bool(bench.spool.ended), seconds=1)
        await bench.provider.until(lambda: bench.provider.calls[0].cut, seconds=1)
    assert [event.status for event in bench.spool.ended] == ["aborted"]


async def test_without_the_internal_token_nothing_is_answered(bench: Bench) -> None:
    routes = Routes(bench.part.router, "secret", bench.lifecycle, bench.tasks)
    async with served(routes) as url:
        session = bench.http.session()
        for headers, status in (
            ({}, 401),
            ({"x-tollway-internal": "wrong"}, 401),
            ({"x-tollway-internal": "secret"}, 200),
        ):
            response = await session.post(url + CALL_PATH, data=encode_call(call_for("m")), headers=headers)
            assert response.status == status
            assert (FRAMES in response.headers) == (status == 200)
        assert (await session.get(url + "/internal/models", headers={"x-tollway-internal": "secret"})).status == 200
        assert (await session.get(url + "/internal/models")).status == 401


async def test_what_is_no_call_is_refused(bench: Bench) -> None:
    async with served(bench.part.http) as url:
        response = await bench.http.session().post(url + CALL_PATH, data=b"\xc1nonsense")
        assert response.status == 400


async def test_late_answers_are_ended_with_an_error_when_the_process_stops(bench: Bench) -> None:
    bench.configure({"m": "o/slow-100"})
    stopping = asyncio.ensure_future(bench.part.workers["stop"]())
    async with served(bench.part.http) as url:
        response = await bench.http.session().post(url + CALL_PATH, data=encode_call(call_for("m", stream=True)))
        reader = FrameReader()
        body = b"".join(reader.feed(await response.content.readany()))
        bench.lifecycle.expired.set()
        body += b"".join([piece async for chunk in response.content.iter_any() for piece in reader.feed(chunk)])
    stopping.cancel()
    assert b"[DONE]" not in body
    assert b'"error"' in body
    assert reader.ending is not None
    assert reader.ending.status == "interrupted"
    assert [event.status for event in bench.spool.ended] == ["interrupted"]
