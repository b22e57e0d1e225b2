"""A composed gateway with a scripted answerer in the router's place, called without a socket."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from services.gateway import app as gateway
from shared.bus import Bus, Message, make_bus
from shared.cache import Cache, make_cache
from shared.config import LiveConfig
from shared.config.schema import Config
from shared.database import Database
from shared.health import Health
from shared.http_client import HttpClient
from shared.lifecycle import Lifecycle
from shared.messages.envelope import encode
from shared.messages.gateway import Answer, Call, Ending, ModelInfo, Spent
from shared.messages.router import AttemptEnded
from shared.messages.tools import ASK_TOPIC, CATALOGUE_TOPIC, Announce
from shared.service import Part, Resources
from shared.settings import settings_from
from shared.spool import Spool
from shared.tasks import Tasks
from shared.wire.usage import TokenUsage

ADMIN = "admin-token-for-tests"
OPS = "ops-token-for-tests"


@dataclass
class ScriptedAnswer:
    """Pieces as they come; `gate` holds the answer up after the first piece, `fails` breaks it off at the end."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[bytes] = field(default_factory=list)
    ending: Ending | None = None
    final: Ending = field(default_factory=Ending)
    gate: asyncio.Event | None = None
    fails: BaseException | None = None
    closed: str | None = None

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        return self._each()

    async def _each(self) -> AsyncIterator[bytes]:
        for index, piece in enumerate(self.pieces):
            if index == 1 and self.gate is not None:
                await self.gate.wait()
            yield piece
        if self.fails is not None:
            raise self.fails
        self.ending = self.final

    async def close(self, status: str = "aborted") -> None:
        if self.ending is None:
            self.closed = status
            self.ending = msgspec.structs.replace(self.final, status=status)


def usage(inputs: int, outputs: int) -> TokenUsage:
    return TokenUsage(inputs, outputs)


def sse(*frames: Any, done: bool = True) -> list[bytes]:
    events = [b"data: " + json.dumps(frame).encode() + b"\n\n" for frame in frames]
    return [*events, b"data: [DONE]\n\n"] if done else events


def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


def completion(text: str, **message: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": text, **message}
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": said, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 8, "completion_tokens": 14, "total_tokens": 22},
    }


def message(text: str) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 8, "output_tokens": 14},
    }


class FakeRouter:
    """Answers every call with what its script says, and remembers the calls."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.answers: list[ScriptedAnswer] = []
        self.script: Callable[[Call], ScriptedAnswer | BaseException] = self.plain
        self.hold: asyncio.Event | None = None
        self.called = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.known = [ModelInfo(id=name) for name in ("m", "other", "org/model:tag")]

    async def call(self, call: Call) -> Answer:
        self.calls.append(call)
        self.called.set()
        if self.hold is not None:
            try:
                await self.hold.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        answer = self.script(call)
        if isinstance(answer, BaseException):
            raise answer
        self.answers.append(answer)
        return answer

    async def models(self) -> list[ModelInfo]:
        return self.known

    async def explain(self) -> dict[str, Any]:
        return {"models": {}}

    def plain(self, call: Call, text: str = "hello there") -> ScriptedAnswer:
        final = Ending(
            spent=[Spent(provider="p", model=call.model, requested_model=call.model, usage=usage(8, 14))],
            usage=usage(8, 14),
        )
        headers = {"x-tollway-model": "m", "x-tollway-provider": "p", "x-tollway-attempts": "1"}
        if not call.stream:
            body = completion(text) if call.dialect == "openai" else message(text)
            kind = {"content-type": "application/json"}
            return ScriptedAnswer(200, {**headers, **kind}, [json.dumps(body).encode()], final=final)
        headers["content-type"] = "text/event-stream"
        if call.dialect == "anthropic":
            return ScriptedAnswer(200, headers, _message_events(text), final=final)
        frames = [chunk({"role": "assistant", "content": ""}), chunk({"content": text}), chunk({}, "stop")]
        return ScriptedAnswer(200, headers, sse(*frames), final=final)


def _message_events(text: str) -> list[bytes]:
    whole = message(text)
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**whole, "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 14}},
        {"type": "message_stop"},
    ]
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]


class Response:
    """What a client received so far."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.complete = False
        self.changed = asyncio.Event()

    def json(self) -> Any:
        return json.loads(self.body)


class Visit:
    """One running request."""

    def __init__(self, app: Any, method: str, path: str, headers: Mapping[str, str], body: bytes | list[bytes]) -> None:
        self.response = Response()
        self._pieces = [body] if isinstance(body, bytes) else list(body)
        self._left = asyncio.Event()
        path, _, query = path.partition("?")
        named = {"content-length": str(len(body)), **headers} if isinstance(body, bytes) and body else headers
        self.scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": method,
            "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in named.items()],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {},
        }  # fmt: skip
        self.task = asyncio.get_running_loop().create_task(app(self.scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        if self._pieces:
            piece = self._pieces.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(self._pieces)}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        response = self.response
        if message["type"] == "http.response.start":
            response.status = message["status"]
            response.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            response.body += message.get("body", b"")
            response.complete = not message.get("more_body", False)
        response.changed.set()

    def leave(self) -> None:
        self._left.set()

    async def until(self, reached: Callable[[Response], bool], seconds: float = 5) -> Response:
        async with asyncio.timeout(seconds):
            while not reached(self.response):
                self.response.changed.clear()
                await self.response.changed.wait()
        return self.response

    async def done(self, seconds: float = 5) -> Response:
        async with asyncio.timeout(seconds):
            await self.task
        return self.response


@dataclass
class Gateway:
    """The composed part with its neighbours faked."""

    part: Part
    router: FakeRouter
    resources: Resources
    booked: list[AttemptEnded]
    spend: dict[str, int]

    def visit(self, method: str, path: str, body: Any = b"", headers: Mapping[str, str] | None = None) -> Visit:
        raw = body if isinstance(body, bytes | list) else json.dumps(body).encode()
        return Visit(self.part.http, method, path, headers or {}, raw)

    async def ask(self, path: str, body: Any = b"", method: str = "POST", **headers: str) -> Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.visit(method, path, body, named).done()

    async def get(self, path: str, **headers: str) -> Response:
        return await self.ask(path, method="GET", **headers)

    async def chat(self, text: str = "hi", model: str = "m", key: str = "k", **fields: Any) -> Response:
        body = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
        return await self.ask("/v1/chat/completions", body, authorization=f"Bearer {key}")

    async def messages(self, text: str = "hi", model: str = "m", key: str = "k", **fields: Any) -> Response:
        body = {"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": text}], **fields}
        return await self.ask("/v1/messages", body, x_api_key=key)

    async def admin(self, method: str, path: str, body: Any = b"") -> Response:
        return await self.ask(f"/admin/{path}", body, method=method, authorization=f"Bearer {ADMIN}")

    async def make_key(self, **fields: Any) -> tuple[str, str]:
        """Id and secret of a new key."""
        made = await self.admin("POST", "keys", {"name": "test", **fields})
        assert made.status == 201, made.body
        return made.json()["id"], made.json()["key"]


class _Spool(Spool):
    """The real one, with what was booked kept at hand."""

    booked: list[AttemptEnded]

    def end(self, ended: AttemptEnded) -> None:
        self.booked.append(ended)
        super().end(ended)


@asynccontextmanager
async def opened(
    folder: Path,
    config: dict[str, Any] | None = None,
    *,
    cache: Cache | None = None,
    database_url: str | None = None,
    **environment: str,
) -> AsyncIterator[Gateway]:
    """A gateway on a fresh database; the ledger's word on a key is `spend`, in nano-units."""
    url = database_url or f"sqlite+aiosqlite:///{folder / 'test.db'}"
    tokens = {"TOLLWAY_ADMIN_TOKEN": ADMIN, "TOLLWAY_OPS_TOKEN": OPS}
    settings = settings_from({**tokens, **environment}, folder, data=folder, database_url=url)
    live = LiveConfig(Config.model_validate(config or {}))
    spool = _Spool(folder / "spool")
    spool.booked = []
    lifecycle = Lifecycle()
    resources = Resources(
        settings, live, make_bus("memory://"), cache or make_cache("memory://"), HttpClient(), spool, Tasks(),
        lifecycle, Health(live, lifecycle), Database(url),
    )  # fmt: skip
    router, spend = FakeRouter(), dict[str, int]()
    await resources.bus.open()
    part = await gateway.compose(resources, router=router, forwards={"usage": _usage(live, spend)})
    await _migrated(resources.database, None if database_url else folder / "test.db")
    loop = asyncio.get_running_loop()
    workers = [loop.create_task(_tool_worker_without_tools(resources.bus))]
    workers += [loop.create_task(worker()) for worker in part.workers.values()]
    await part.workers["keys"].__self__.loaded.wait()
    try:
        yield Gateway(part, router, resources, spool.booked, spend)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        await resources.tasks.drain(1)
        await resources.http.close()
        await resources.bus.close()
        await resources.database.close()
        spool.close()


async def _tool_worker_without_tools(bus: Bus) -> None:
    async with bus.listen(ASK_TOPIC) as questions:
        async for _ in questions:
            await bus.broadcast(CATALOGUE_TOPIC, Message(encode(Announce(worker="idle", revision=1, tools=[]))))


_template: list[bytes] = []


async def _migrated(database: Database, path: Path | None) -> None:
    """Migrating takes a tenth of a second: done once, then copied."""
    if path is None or not _template:
        await database.open()
        if path is not None:
            await database.close()
            _template.append(path.read_bytes())
    else:
        path.write_bytes(_template[0])
        database.ready.set()


def _usage(live: LiveConfig, spend: dict[str, int]) -> Any:
    """The usage service's answers to the gateway, and an echo of what was forwarded."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        from shared.prices import PriceBook

        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        body: Any
        if scope["path"] == "/internal/prices":
            body = {"version": "1", "rows": [price.to_row() for price in PriceBook.of(live.current.usage).prices]}
        elif scope["path"] == "/internal/spend":
            body = _spend(live, spend, scope["query_string"].decode().partition("=")[2])
        else:
            received = await receive()
            body = {"path": scope["path"], "headers": headers, "body": received["body"].decode("latin-1")}
        head = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})

    return app


def _spend(live: LiveConfig, spend: dict[str, int], key_id: str) -> dict[str, Any]:
    from services.gateway.spending import Spending
    from shared import clock

    day, month = Spending(None, live).windows(clock.now())
    nano = spend.get(key_id, 0)
    return {
        "key_id": key_id,
        "day": {"start": day, "nano": nano},
        "month": {"start": month, "nano": nano},
        "currency": live.current.usage.currency,
    }
