"""The lean client between our own services."""

import asyncio
import contextlib

import pytest
from aiohttp import web

from shared.http_lean import HIGH_WATER_BYTES, LeanClient, LeanFailed


@contextlib.asynccontextmanager
async def serving(handler):
    app = web.Application()
    app.router.add_post("/base/echo", handler)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    client = LeanClient(f"http://127.0.0.1:{runner.addresses[0][1]}/base", connect_seconds=2)
    try:
        yield client
    finally:
        await client.close()
        await runner.cleanup()


async def whole(response):
    return b"".join([chunk async for chunk in response.chunks()])


async def test_a_request_and_its_answer_travel_whole_and_the_connection_is_kept():
    peers = set()

    async def echo(request):
        peers.add(request.transport.get_extra_info("peername"))
        body = await request.read()
        return web.Response(status=201, body=body, headers={"x-told": request.headers["x-asked"]})

    async with serving(echo) as client:
        head = client.head("/echo", {"x-asked": "yes"})
        for size in (0, 1, 100_000):
            response = await client.post(head, b"x" * size)
            assert (response.status, response.headers["x-told"]) == (201, "yes")
            assert await whole(response) == b"x" * size
    assert len(peers) == 1


async def test_a_stream_is_read_as_it_comes():
    more = asyncio.Event()

    async def stream(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"one")
        await more.wait()
        await response.write(b"two")
        return response

    async with serving(stream) as client:
        response = await client.post(client.head("/echo", {}), b"")
        chunks = response.chunks()
        assert await anext(chunks) == b"one"
        more.set()
        assert await anext(chunks) == b"two"
        with pytest.raises(StopAsyncIteration):
            await anext(chunks)


async def test_an_answer_that_breaks_off_is_a_failure():
    async def cut(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"half")
        request.transport.abort()
        return response

    async with serving(cut) as client:
        response = await client.post(client.head("/echo", {}), b"")
        with pytest.raises(LeanFailed):
            await whole(response)


async def test_nobody_there_is_a_failure():
    client = LeanClient("http://127.0.0.1:1", connect_seconds=2)
    with pytest.raises(LeanFailed):
        await client.post(client.head("/", {}), b"")


@pytest.mark.parametrize("phase", ["head", "body"])
async def test_leaving_is_heard_by_the_other_side(phase):
    left, begun = asyncio.Event(), asyncio.Event()

    async def slow(request):
        try:
            if phase == "body":
                response = web.StreamResponse()
                await response.prepare(request)
                await response.write(b"x")
            begun.set()
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            left.set()
            raise

    async with serving(slow) as client:
        if phase == "body":
            response = await client.post(client.head("/echo", {}), b"")
            response.close()
        else:
            asking = asyncio.ensure_future(client.post(client.head("/echo", {}), b""))
            await asyncio.wait_for(begun.wait(), 5)
            asking.cancel()
        await asyncio.wait_for(left.wait(), 2)


async def test_a_reader_that_stops_holds_the_sender_back():
    sent = 0

    async def flood(request):
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(400):
            await response.write(b"x" * 65_536)
            sent += 65_536
        return response

    async with serving(flood) as client:
        response = await client.post(client.head("/echo", {}), b"")
        await asyncio.sleep(0.5)
        held = sent
        assert held < 400 * 65_536 / 2
        assert response._waiting < HIGH_WATER_BYTES * 4
        assert len(await whole(response)) == 400 * 65_536
