"""The router's HTTP edge: raw ASGI, since every call of a split installation passes here."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from services.router.answer import StreamAnswer
from shared.errors import BadRequest, NotFound, TollwayError, Unauthenticated
from shared.lifecycle import Lifecycle
from shared.messages.gateway import Answer, Ending, Router
from shared.messages.router_wire import (
    CALL_PATH,
    EXPLAIN_PATH,
    FRAMES,
    INTERNAL_TOKEN,
    MODELS_PATH,
    data_frame,
    decode_call,
    ending_frame,
)
from shared.security import same
from shared.tasks import Tasks

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

_UNWATCHED_SECONDS = 0.1
_CUT = Ending(status="error", error="the router could not finish the answer")


class Routes:
    """`POST /internal/call`, `GET /internal/models`, `GET /internal/explain`."""

    def __init__(self, router: Router, token: str | None, lifecycle: Lifecycle, tasks: Tasks) -> None:
        self._router = router
        self._token = token
        self._lifecycle = lifecycle
        self._tasks = tasks
        self._running: set[Running] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        try:
            self._admit(scope)
            await self._route(scope, receive, send)
        except TollwayError as error:
            await _refuse(send, error)

    async def stop_late(self) -> None:
        """When running answers had their time, end them with an error event instead of silence; until cancelled."""
        await self._lifecycle.expired.wait()
        for running in list(self._running):
            running.stop()
        await asyncio.Event().wait()

    def _admit(self, scope: Scope) -> None:
        if self._token is None:
            return
        name = INTERNAL_TOKEN.encode()
        given = next((value for key, value in scope["headers"] if key == name), b"")
        if not same(given.decode("latin-1"), self._token):
            raise Unauthenticated("The internal token is missing or wrong.")

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        if path == CALL_PATH and method == "POST":
            await self._call(receive, send)
        elif path == MODELS_PATH and method == "GET":
            await _json(send, 200, msgspec.json.encode(await self._router.models()))
        elif path == EXPLAIN_PATH and method == "GET":
            await _json(send, 200, msgspec.json.encode(await self._router.explain()))
        else:
            raise NotFound

    async def _call(self, receive: Receive, send: Send) -> None:
        try:
            call = decode_call(await _body(receive))
        except msgspec.MsgspecError as error:
            raise BadRequest(f"not a call: {error}") from error
        running = Running()
        self._running.add(running)
        # Most answers are over before anybody could leave: only a longer one is worth a watcher.
        later = asyncio.get_running_loop().call_later(_UNWATCHED_SECONDS, running.begin_watch, self._tasks, receive)
        try:
            running.answer = await self._router.call(call)
            await _send_answer(running.answer, send)
        except asyncio.CancelledError:
            if not running.over:
                raise
            running.task.uncancel()
        finally:
            later.cancel()
            running.end_watch()
            self._running.discard(running)
            if running.answer is not None:
                await running.answer.close()


class Running:
    """A call being answered; its task is cancelled when the gateway closes the connection."""

    def __init__(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 -- a request always runs in a task
        self.task: asyncio.Task[Any] = task
        self.answer: Answer | None = None
        self.over = False
        self._watcher: asyncio.Task[None] | None = None

    def begin_watch(self, tasks: Tasks, receive: Receive) -> None:
        """Watch for the gateway leaving, beside the answer."""
        self._watcher = tasks.start(self._watch(receive), name="gateway-watch")

    def end_watch(self) -> None:
        """The answer is over."""
        if self._watcher is not None:
            self._watcher.cancel()

    async def _watch(self, receive: Receive) -> None:
        """Wait for the gateway to leave."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self._cancel()

    def stop(self) -> None:
        """We have to stop: a stream says so, what has not begun is given up."""
        if isinstance(self.answer, StreamAnswer):
            self.answer.interrupt()
        elif self.answer is None:
            self._cancel()

    def _cancel(self) -> None:
        self.over = True
        self.task.cancel()


async def _send_answer(answer: Answer, send: Send) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in answer.headers.items()]
    headers.append((FRAMES.encode(), b"1"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    async for chunk in answer.chunks:
        data = data_frame(chunk)
        if answer.ending is not None:
            await send({"type": "http.response.body", "body": data + ending_frame(answer.ending)})
            return
        await send({"type": "http.response.body", "body": data, "more_body": True})
    await send({"type": "http.response.body", "body": ending_frame(answer.ending or _CUT)})


async def _body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return body
    parts = [body]
    while message.get("more_body"):
        message = await receive()
        parts.append(message.get("body", b""))
    return b"".join(parts)


async def _refuse(send: Send, error: TollwayError) -> None:
    body = {"error": {"message": error.message, "code": error.error_code}}
    await _json(send, error.status, msgspec.json.encode(body))


async def _json(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
