"""`/health`, `/ready` and `/metrics`: told from what was opened, at the front of every process, without a key."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest, multiprocess

from shared import ids
from shared.config import LiveConfig
from shared.errors import TollwayError
from shared.lifecycle import Lifecycle

Check = Callable[[], Awaitable[None]]  # returns when all is well, raises when not
Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]

VERSION = "0.1.0"
CHECK_SECONDS = 2.0


class Health:
    """Named checks of dependencies, asked together with a deadline each."""

    def __init__(self, config: LiveConfig, lifecycle: Lifecycle) -> None:
        self._config = config
        self._lifecycle = lifecycle
        self._checks: dict[str, Check] = {}

    def add(self, name: str, check: Check) -> None:
        """Ask this, too."""
        self._checks[name] = check

    def process(self) -> dict[str, Any]:
        """What is true of the process itself."""
        body: dict[str, Any] = {
            "status": "ok",
            "version": VERSION,
            "config": "stale" if self._config.stale else "current",
        }
        if self._config.stale:
            body["config_faults"] = [str(fault) for fault in self._config.faults]
        if self._lifecycle.draining.is_set():
            body["status"] = "draining"
        return body

    async def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether every dependency answers, and what each said."""
        names = list(self._checks)
        found = await asyncio.gather(*(_ask(self._checks[name]) for name in names))
        checks = {
            name: {"ok": error is None, **({"error": error} if error else {})}
            for name, error in zip(names, found, strict=True)
        }
        ready = all(error is None for error in found) and not self._lifecycle.draining.is_set()
        return ready, {"ready": ready, "checks": checks}


async def _ask(check: Check) -> str | None:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
    except TimeoutError:
        return f"no answer within {CHECK_SECONDS:g} s"
    except TollwayError as error:
        return error.message
    except Exception as error:  # noqa: BLE001 -- a check may fail in any way; all of them mean "not ready"
        return f"{type(error).__name__}: {error}"
    return None


class Front:
    """What stands before every service's own routes: health doors, refusal while draining, counting of what runs."""

    def __init__(self, app: App, health: Health, lifecycle: Lifecycle) -> None:
        self._app = app
        self._health = health
        self._lifecycle = lifecycle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        path = scope["path"]
        if path in _DOORS and scope["method"] in ("GET", "HEAD"):
            await self._door(path, send)
        elif self._lifecycle.draining.is_set():
            await _refuse(path, send)
        else:
            with self._lifecycle.track():
                await self._app(scope, receive, send)

    async def _door(self, path: str, send: Send) -> None:
        if path == "/metrics":
            await _respond(send, 200, await asyncio.to_thread(_metrics), CONTENT_TYPE_LATEST.encode())
        elif path == "/health":
            await _respond(send, 200, msgspec.json.encode(self._health.process()))
        else:
            ready, body = await self._health.ready()
            await _respond(send, 200 if ready else 503, msgspec.json.encode(body))


_DOORS = ("/health", "/ready", "/metrics")
_DRAINING = "This process is stopping; another one will take the request."


async def _refuse(path: str, send: Send) -> None:
    error: dict[str, Any]
    request_id = ids.request_id()
    extra = [(b"retry-after", b"1"), (b"connection", b"close"), (b"x-request-id", request_id.encode())]
    if "/messages" in path:
        extra.append((b"request-id", request_id.encode()))
        told = {"type": "overloaded_error", "message": _DRAINING, "details": {"error_code": "draining"}}
        error = {"type": "error", "error": told, "request_id": request_id}
    else:
        error = {"error": {"message": _DRAINING, "type": "server_error", "param": None, "code": "draining"}}
    await _respond(send, 503, msgspec.json.encode(error), extra=extra)


async def _respond(
    send: Send,
    status: int,
    body: bytes,
    kind: bytes = b"application/json",
    extra: list[tuple[bytes, bytes]] | None = None,
) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode()), *(extra or [])]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _metrics() -> bytes:
    """The metrics of this process, or of all workers of this service when several share the work."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:  # noqa: TID251 -- the metrics library's own switch, set by our supervisor
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library is not typed here
        return generate_latest(registry)
    return generate_latest(REGISTRY)


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """The routes of a service that has none of its own."""
    del receive
    if scope["type"] == "http":
        await _respond(
            send,
            404,
            msgspec.json.encode({"error": {"message": "There is nothing here.", "code": "not_found"}}),
        )
