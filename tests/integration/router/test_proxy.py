"""A provider behind a forward proxy."""

import asyncio
from urllib.parse import urlsplit

import pytest

from tests.integration.router.conftest import Bench, read


class ForwardProxy:
    """Takes requests for whole URLs, as HTTP proxies do, and notes what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.port = 0

    async def __aenter__(self) -> "ForwardProxy":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, url, version = head.split(b"\r\n", 1)[0].decode().split(" ")
        self.asked.append(url)
        parts = urlsplit(url)
        there, out = await asyncio.open_connection(parts.hostname, parts.port)
        out.write(f"{method} {parts.path} {version}\r\nconnection: close\r\n".encode() + head.split(b"\r\n", 1)[1])
        await asyncio.gather(pipe(reader, out), pipe(there, writer))


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_provider_is_reached_through_its_proxy(bench: Bench, stream: bool) -> None:
    async with ForwardProxy() as proxy:
        provider = {
            "protocol": "openai",
            "base_url": f"{bench.provider.url}/v1",
            "api_key": "k",
            "proxy": f"http://127.0.0.1:{proxy.port}",
        }
        bench.configure({"m": "p/ok"}, providers={"p": provider})
        body = await read(await bench.ask("m", stream=stream))
        assert b"Tollway" in body
        assert proxy.asked == [f"{bench.provider.url}/v1/chat/completions"]
        await bench.http.close()
