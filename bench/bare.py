"""The bare forwarder: raw ASGI and an HTTP client, bytes passed through. Two of them in a row are what two hops cost."""

import sys

import aiohttp
import uvicorn


class Forwarder:
    def __init__(self, target: str) -> None:
        self._target = target
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False)
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        async with self._session.post(
            self._target + scope["path"], data=body, headers={"content-type": "application/json"}
        ) as answer:
            headers = [
                (name.lower().encode(), value.encode())
                for name, value in answer.headers.items()
                if name.lower() in ("content-type", "content-length")
            ]
            await send({"type": "http.response.start", "status": answer.status, "headers": headers})
            async for part in answer.content.iter_any():
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b""})


if __name__ == "__main__":
    uvicorn.run(
        Forwarder(sys.argv[2]),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_level="error",
        access_log=False,
        http="httptools",
        loop="uvloop",
        lifespan="off",
    )
