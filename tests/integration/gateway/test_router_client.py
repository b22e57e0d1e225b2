"""The router over the wire: frames in order, breaks that are told, closing that is noticed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from services.gateway.router_client import RouterClient
from shared.errors import RouterUnavailable
from shared.http_client import HttpClient
from shared.http_lean import LeanClient, LeanResponse, LeanTimedOut
from shared.messages.gateway import Call, Ending
from shared.messages.router_wire import CALL_PATH, FRAMES, INTERNAL_TOKEN, data_frame, decode_call, ending_frame

CALL = Call(request_id="req_1", dialect="openai", model="m", body=b"{}")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def routed(handler: Handler) -> AsyncIterator[RouterClient]:
    app = web.Application()
    app.router.add_post(CALL_PATH, handler)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    http = HttpClient()
    try:
        yield RouterClient(http, f"http://127.0.0.1:{runner.addresses[0][1]}", "secret")
    finally:
        await http.close()
        await runner.cleanup()


async def framed(request: web.Request, *pieces: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers={FRAMES: "1", "X-Tollway-Model": "m"})
    await response.prepare(request)
    for piece in pieces:
        await response.write(piece)
    return response


async def test_the_answer_comes_with_its_ending_behind_the_last_byte() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.headers[INTERNAL_TOKEN] == "secret"
        assert decode_call(await request.read()) == CALL
        whole = data_frame(b"one") + data_frame(b"two") + ending_frame(Ending(attempts=2))
        return await framed(request, whole[:7], whole[7:])

    async with routed(handler) as router:
        answer = await router.call(CALL)
        assert answer.headers["x-tollway-model"] == "m"
        assert FRAMES not in answer.headers
        assert b"".join([chunk async for chunk in answer.chunks]) == b"onetwo"
        assert answer.ending is not None
        assert answer.ending.attempts == 2


async def test_a_break_before_the_ending_is_told() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = await framed(request, data_frame(b"one"))
        assert request.transport is not None
        request.transport.close()
        return response

    async with routed(handler) as router:
        answer = await router.call(CALL)
        with pytest.raises(RouterUnavailable):
            [chunk async for chunk in answer.chunks]


async def test_closing_early_is_noticed_by_the_router() -> None:
    gone = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        await framed(request, data_frame(b"one"))
        try:
            await asyncio.Event().wait()
        finally:
            gone.set()
        raise AssertionError

    async with routed(handler) as router:
        answer = await router.call(CALL)
        assert await anext(answer.chunks) == b"one"
        await answer.close()
        async with asyncio.timeout(1):
            await gone.wait()
        assert answer.ending is not None
        assert answer.ending.status == "aborted"


async def test_a_router_that_is_not_there_or_refuses_is_unavailable() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(status=401)

    async with routed(handler) as router:
        with pytest.raises(RouterUnavailable):
            await router.call(CALL)
    http = HttpClient()
    with pytest.raises(RouterUnavailable):
        await RouterClient(http, "http://127.0.0.1:1", None).call(CALL)
    with pytest.raises(RouterUnavailable):
        await RouterClient(http, "http://127.0.0.1:1", None).models()
    await http.close()


async def test_a_router_that_is_stopping_is_left_for_another_one() -> None:
    asked = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        if asked < 3:
            return web.json_response({"error": {"code": "draining"}}, status=503, headers={"connection": "close"})
        return await framed(request, data_frame(b"one") + ending_frame(Ending(attempts=1)))

    async with routed(handler) as router:
        answer = await router.call(CALL)
        assert b"".join([chunk async for chunk in answer.chunks]) == b"one"
    assert asked == 3


@pytest.mark.parametrize(("status", "most"), [(503, 3), (401, 1)])
async def test_a_router_that_refuses_for_ever_is_unavailable(status: int, most: int) -> None:
    asked = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        return web.json_response({}, status=status)

    async with routed(handler) as router:
        with pytest.raises(RouterUnavailable):
            await router.call(CALL)
    assert asked == most


class Busy:
    """A client of a router that takes no connection in time, for a while."""

    def __init__(self, inner: LeanClient, times: int) -> None:
        self._inner = inner
        self._times = times

    async def post(self, head: bytes, body: bytes) -> LeanResponse:
        self._times -= 1
        if self._times >= 0:
            raise LeanTimedOut("no connection")
        return await self._inner.post(head, body)


async def test_a_router_that_takes_no_connection_in_time_is_tried_again() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return await framed(request, data_frame(b"one") + ending_frame(Ending(attempts=1)))

    async with routed(handler) as router:
        router._calls = Busy(router._calls, times=2)  # type: ignore[assignment]
        answer = await router.call(CALL)
        assert b"".join([chunk async for chunk in answer.chunks]) == b"one"
        router._calls = Busy(router._calls, times=3)  # type: ignore[assignment]
        with pytest.raises(RouterUnavailable):
            await router.call(CALL)
