"""A scripted model provider with its own books; it speaks OpenAI and Anthropic, and a model is a behaviour.

    python tests/fakes/model_provider.py PORT       stand-alone; GET /ledger, POST /reset
    async with ModelProvider() as provider: ...     in a test; provider.url, .calls, await .until(...)

ok  echo  history  params  raw  extras  utf8  crlf  think  cached  cachedw  nousage  nodone  noclose
length  refusal  stopseq
tool  tools2  toolloop  texttool  toolvoid  toolstop  toolmess      call the first (two) offered tools
long-N  slow-N (20 ms apart)  quick-N (one write)  pause-S (after five chunks)  slowfirst-S
hang  stall  cut  cutbody  badjson  errstream  reset  empty  badfirst  errfirst  json200  html502  redirect
s400 to s529 (429 with retry-after: 2)  retry-S (429, retry-after S)  ctx  filter
flaky-N (N times 500, then ok)  flap-S (503 for S seconds after reset)
cites (citations, annotations)   whole:NAME (never streams)   flow:NAME (always streams)
padded (a whole answer called a stream, behind blank lines)
picky ("fail:404" in the last user text)  keyed (keys ending in "-bad" are 401, "-limited" 429)
NAME@TAG behaves as NAME with books of its own.
"""

import asyncio
import json
import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

sys.path.append(str(Path(__file__).resolve().parents[2]))  # so that it also runs as a plain file

from tests.fakes.model_script import (
    Script,
    Step,
    anthropic_steps,
    encoded,
    error_body,
    frame,
    last_user_text,
    openai_steps,
    plain_answer,
    script_for,
)

KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    529: "overloaded_error",
}
RELAYED = ("anthropic-", "x-", "traceparent", "user-agent", "cookie", "openai-")
MODELS = ("ok", "echo", "tool", "think")


@dataclass
class Record:
    """One call as the provider booked it."""

    model: str
    path: str
    stream: bool = False
    t: float = field(default_factory=time.time)
    status: int = 200
    finished: bool = False
    cut: bool = False
    t_cut: float | None = None
    chunks_sent: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    api_key: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    query: str = ""
    body: str = ""


class ModelProvider:
    """The provider: an aiohttp application, its books, and a server for tests."""

    def __init__(self) -> None:
        self.calls: list[Record] = []
        self.models: tuple[str, ...] = MODELS
        self.listed = 0
        self.url = ""
        self._flaky: dict[str, int] = {}
        self._epoch = time.monotonic()
        self._changed = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self.app = web.Application(client_max_size=64 << 20)
        for prefix in ("", "/v1"):
            self.app.router.add_post(prefix + "/chat/completions", self._answer)
            self.app.router.add_post(prefix + "/messages", self._answer)
            self.app.router.add_post(prefix + "/messages/count_tokens", self._count_tokens)
            self.app.router.add_post(prefix + "/embeddings", self._embeddings)
            self.app.router.add_get(prefix + "/models", self._models)
        self.app.router.add_get("/ledger", self._ledger)
        self.app.router.add_post("/reset", self._reset)

    async def __aenter__(self) -> "ModelProvider":
        await self.listen(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner:
            await self._runner.cleanup()

    async def listen(self, port: int) -> None:
        """Serve on the port (0: any free one)."""
        self._runner = web.AppRunner(self.app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    def of(self, model: str) -> list[Record]:
        """The calls of one model name."""
        return [call for call in self.calls if call.model == model]

    def forget(self) -> None:
        """Empty books; `flap-S` counts from here."""
        self.calls.clear()
        self._flaky.clear()
        self._epoch = time.monotonic()

    async def until(self, holds: Callable[[], bool], seconds: float = 5) -> None:
        """Wait until the books say so."""
        async with asyncio.timeout(seconds):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    def _note(self, record: Record, *, cut: bool = False, finished: bool = False) -> None:
        if cut:
            record.cut, record.t_cut = True, time.time()
        record.finished = record.finished or finished
        self._changed.set()

    def _book(self, request: web.Request, body: dict[str, Any], raw: bytes) -> Record:
        headers = {k.lower(): v for k, v in request.headers.items() if k.lower().startswith(RELAYED)}
        key = request.headers.get("authorization") or request.headers.get("x-api-key")
        record = Record(body.get("model", ""), request.path, bool(body.get("stream")), api_key=key, headers=headers)
        record.query, record.body = request.query_string, raw.decode(errors="replace")
        self.calls.append(record)
        self._changed.set()
        return record

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        body = json.loads(raw)
        record = self._book(request, body, raw)
        anthropic = request.path.endswith("/messages")
        behaviour, streams = record.model.split("@")[0], record.stream
        if behaviour.startswith(("whole:", "flow:")):
            streams = behaviour.startswith("flow:")
            behaviour = behaviour.partition(":")[2]
        streams = streams and behaviour != "padded"
        if behaviour == "picky" and (wanted := re.search(r"fail:(\w+)", last_user_text(body.get("messages", [])))):
            behaviour = f"s{wanted[1]}" if wanted[1].isdigit() else wanted[1]
        try:
            refused = await self._fault(request, record, behaviour, anthropic=anthropic)
            if refused is not None:
                self._note(record, finished=True)
                return refused
            script = script_for(behaviour, body, raw)
            record.input_tokens, record.output_tokens = script.input_tokens, script.output_tokens
            if not streams:
                return await self._plain(request, record, script, anthropic=anthropic)
            asked = bool((body.get("stream_options") or {}).get("include_usage"))
            number = len(self.calls)
            steps = (
                anthropic_steps(script, record.model, number)
                if anthropic
                else openai_steps(script, record.model, number, usage_asked=asked)
            )
            return await self._stream(request, record, script, steps)
        except (asyncio.CancelledError, ConnectionError):
            self._note(record, cut=True)
            raise

    async def _fault(
        self, request: web.Request, record: Record, behaviour: str, *, anthropic: bool
    ) -> web.Response | None:
        def fail(
            status: int,
            message: str,
            *,
            kind: str = "",
            code: str | None = None,
            headers: dict[str, str] | None = None,
        ) -> web.Response:
            record.status = status
            body = error_body(
                anthropic=anthropic, kind=kind or KINDS.get(status, "api_error"), message=message, code=code
            )
            return web.json_response(body, status=status, headers=headers)

        if status := self._scripted_status(record, behaviour):
            return fail(status, f"scripted {status}", headers={"retry-after": "2"} if status == 429 else None)
        if behaviour.startswith("retry-"):
            return fail(429, "scripted 429", headers={"retry-after": behaviour.split("-")[1]})
        match behaviour:
            case "ctx":
                return fail(400, "maximum context length exceeded", code="context_length_exceeded")
            case "filter":
                return fail(400, "rejected by the content policy", code="content_policy_violation")
            case "html502":
                record.status = 502
                return web.Response(status=502, text="<html><body>bad gateway</body></html>", content_type="text/html")
            case "redirect":
                record.status = 307
                return web.Response(status=307, headers={"location": f"{self.url}/v1/chat/completions"})
            case "hang":
                await asyncio.sleep(600)
            case "reset":
                if request.transport:
                    request.transport.abort()
                return web.Response()
        if behaviour == "json200" or (behaviour == "errfirst" and not record.stream):
            return web.json_response(
                error_body(anthropic=anthropic, kind="overloaded_error", message="scripted overload")
            )
        if behaviour in ("empty", "badfirst"):
            broken = b'{"id": "x", "choi'
            body = b"" if behaviour == "empty" else b"data: " + broken + b"\n\n" if record.stream else broken
            return web.Response(body=body, content_type="text/event-stream" if record.stream else "application/json")
        return None

    def _scripted_status(self, record: Record, behaviour: str) -> int:
        if behaviour[0:1] == "s" and behaviour[1:].isdigit():
            return int(behaviour[1:])
        if behaviour.startswith("flaky-"):
            self._flaky[record.model] = self._flaky.get(record.model, 0) + 1
            return 500 if self._flaky[record.model] <= int(behaviour.split("-")[1]) else 0
        if behaviour.startswith("flap-") and time.monotonic() - self._epoch < float(behaviour.split("-")[1]):
            return 503
        if behaviour == "keyed" and record.api_key:
            return 401 if record.api_key.endswith("-bad") else 429 if record.api_key.endswith("-limited") else 0
        return 0

    async def _plain(
        self, request: web.Request, record: Record, script: Script, *, anthropic: bool
    ) -> web.StreamResponse:
        if script.behaviour.startswith("slow-"):
            await asyncio.sleep(0.02 * len(script.pieces))
        data = encoded(plain_answer(script, record.model, len(self.calls), anthropic=anthropic))
        record.chunks_sent = len(script.pieces)
        self._note(record, finished=True)
        if script.behaviour == "padded":
            return web.Response(body=b"\n \r\n\n" + data, content_type="text/event-stream")
        if script.behaviour != "cutbody":
            return web.Response(
                body=data, content_type="application/json", headers={"x-request-id": f"up-{len(self.calls)}"}
            )
        response = web.StreamResponse(headers={"content-type": "application/json", "content-length": str(len(data))})
        await response.prepare(request)
        await response.write(data[: len(data) // 2])
        if request.transport:
            request.transport.close()
        return response

    async def _stream(
        self, request: web.Request, record: Record, script: Script, steps: list[Step]
    ) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
        )
        await response.prepare(request)
        if script.behaviour.startswith("slowfirst-"):
            await asyncio.sleep(float(script.behaviour.split("-")[1]))
        if script.behaviour.startswith("quick-"):
            steps = [b"".join(step for step in steps if isinstance(step, bytes))]
        for step in steps:
            if isinstance(step, bytes):
                await self._write(response, script.behaviour, step)
            elif isinstance(step, float):
                await asyncio.sleep(step)
            elif step == "piece":
                record.chunks_sent += 1
                self._changed.set()
                await asyncio.sleep(0.02 if script.behaviour.startswith("slow-") else 0)
            elif step == "cut":
                self._note(record, finished=True)
                if request.transport:
                    request.transport.abort()
                return response
            else:
                anthropic = request.path.endswith("/messages")
                body = error_body(anthropic=anthropic, kind="overloaded_error", message="scripted overload")
                await response.write(frame(body, "error" if anthropic else None))
                break
        if script.behaviour == "noclose":
            await asyncio.sleep(300)
        self._note(record, finished=True)
        await response.write_eof()
        return response

    async def _write(self, response: web.StreamResponse, behaviour: str, data: bytes) -> None:
        if behaviour not in ("crlf", "utf8"):
            await response.write(data)
            return
        data, size = (data.replace(b"\n", b"\r\n"), 7) if behaviour == "crlf" else (data, 1)
        for start in range(0, len(data), size):
            await response.write(data[start : start + size])
            await asyncio.sleep(0)

    async def _count_tokens(self, request: web.Request) -> web.Response:
        raw = await request.read()
        body = json.loads(raw)
        record = self._book(request, body, raw)
        record.input_tokens = script_for("ok", body, raw).input_tokens
        self._note(record, finished=True)
        return web.json_response({"input_tokens": record.input_tokens})

    async def _embeddings(self, request: web.Request) -> web.Response:
        raw = await request.read()
        body = json.loads(raw)
        record = self._book(request, body, raw)
        given = body["input"] if isinstance(body["input"], list) else [body["input"]]
        record.input_tokens = 3 * len(given)
        self._note(record, finished=True)
        if status := self._scripted_status(record, record.model.split("@")[0]):
            record.status = status
            failed = error_body(anthropic=False, kind="api_error", message=f"scripted {status}")
            return web.json_response(failed, status=status)
        rows = [{"object": "embedding", "index": i, "embedding": [0.1, 0.2, 0.3]} for i in range(len(given))]
        usage = {"prompt_tokens": 3 * len(given), "total_tokens": 3 * len(given)}
        return web.json_response({"object": "list", "model": record.model, "data": rows, "usage": usage})

    async def _models(self, request: web.Request) -> web.Response:
        self.listed += 1
        self._changed.set()
        if "anthropic-version" in request.headers:
            created = "2026-01-01T00:00:00Z"
            rows = [{"id": m, "type": "model", "display_name": m, "created_at": created} for m in self.models]
            return web.json_response({"data": rows, "has_more": False, "first_id": "ok", "last_id": "think"})
        data = [{"id": m, "object": "model", "created": 1, "owned_by": "fake"} for m in self.models]
        return web.json_response({"object": "list", "data": data})

    async def _ledger(self, _: web.Request) -> web.Response:
        return web.json_response({"calls": [asdict(call) for call in self.calls]})

    async def _reset(self, _: web.Request) -> web.Response:
        self.forget()
        return web.json_response({"ok": True})


if __name__ == "__main__":
    web.run_app(
        ModelProvider().app,
        host=os.environ.get("HOST", "127.0.0.1"),  # a container listens on all of its addresses
        port=int(sys.argv[1]),
        print=None,
        access_log=None,
        handler_cancellation=True,
    )
