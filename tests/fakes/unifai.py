"""UnifAI's two endpoints on a local port, with the ways they are known to fail, and a book of what they were asked."""

import asyncio
import json
from typing import Any

from aiohttp import web


class FakeUnifAI:
    """`mode` is one of: plain, wrapped, 402, 429, 500, slow, text, huge."""

    def __init__(self) -> None:
        self.mode = "plain"
        self.asked: list[dict[str, Any]] = []
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self) -> "FakeUnifAI":
        app = web.Application()
        app.router.add_get("/actions/search", self._search)
        app.router.add_post("/actions/call", self._call)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        server = site._server
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return self

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _search(self, request: web.Request) -> web.Response:
        self.asked.append({"query": dict(request.query), "key": request.headers.get("authorization")})
        rows = [
            {"action": "Weather--1--today", "description": "the weather", "payload": {"city": "text"}, "payment": None},
            {"action": "Money--2--send", "description": "moves money", "payload": {}, "payment": {"amount": 1}},
        ]
        return await self._answer({"results": rows} if self.mode == "wrapped" else rows)

    async def _call(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.asked.append({"body": body, "key": request.headers.get("authorization")})
        return await self._answer({"payload": {"done": body["action"]}, "payment": None})

    async def _answer(self, value: Any) -> web.Response:
        if self.mode in ("402", "429", "500"):
            return web.json_response({"error": f"scripted {self.mode}"}, status=int(self.mode))
        if self.mode == "slow":
            await asyncio.sleep(30)
        if self.mode == "text":
            return web.Response(text="not JSON at all")
        if self.mode == "huge":
            return web.Response(text="[" + json.dumps("x" * 1000) + ("," + json.dumps("x" * 1000)) * 5000 + "]")
        return web.json_response(value)
