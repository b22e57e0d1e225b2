"""One MCP server: a task that connects, holds the connection and rebuilds it, while calls come from other tasks.

Entering and leaving a connection happens in the owner's task only; the SDK breaks otherwise. Imported only when a
server is configured, because the SDK is large.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any

import structlog
from mcp import Client, MCPError
from mcp_types import CONNECTION_CLOSED, REQUEST_TIMEOUT, Tool

from services.tools.errors import OutcomeUnknown, ServerDown, ToolFailed
from services.tools.providers.base import Context, Outcome, fingerprint, tool_name
from services.tools.providers.mcp_http import http_transport
from services.tools.providers.mcp_result import outcome_of
from services.tools.providers.mcp_stdio import stdio_transport
from shared import clock
from shared.config.tools import McpServer
from shared.messages.tools import ServerStatus, ToolSpec

log = structlog.get_logger(__name__)

REFRESH_SECONDS = 20.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.3, 60.0
BREAKER_FAILURES = 5
LATE_SECONDS = 2.0
MAX_TOOLS = 512
SHORTEST_SECRET = 4
_INHERITED = ("HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER")


class ServerOwner:
    """Holds one server's connection; `run` calls its tools."""

    def __init__(self, name: str, settings: McpServer, environment: Mapping[str, str]) -> None:
        self.settings = settings
        self.first_attempt = asyncio.Event()
        self.specs: list[ToolSpec] = []
        self._name = name
        self._environment = {key: environment[key] for key in _INHERITED if key in environment} | settings.env
        self._client: Client | None = None
        self._ready = asyncio.Event()
        self._lost = asyncio.Event()
        self._calls: set[asyncio.Timeout] = set()
        self._state = "starting"
        self._version: str | None = None
        self._last_error: str | None = None
        self._quarantined: set[str] = set()
        self._known: dict[str, str] = dict(settings.pinned)
        self._remote: dict[str, str] = {}
        self._restarts = 0
        self._stopped = False
        self._failures = 0
        self._last_words: deque[str] = deque(maxlen=20)

    def status(self) -> ServerStatus:
        """How it is doing. Commands, headers and environment are nobody's business."""
        return ServerStatus(
            name=self._name,
            kind="mcp",
            state=self._state,
            version=self._version,
            tool_count=len(self.specs),
            last_error=self._last_error,
            restarts=self._restarts,
        )

    def stop(self) -> None:
        """Connect no more. The SDK may swallow a cancellation while it clears a broken connection away."""
        self._stopped = True

    async def hold(self, changed: Callable[[], None]) -> None:
        """Connect, hold, and connect again, until stopped and cancelled."""
        while not self._stopped:
            began = clock.monotonic()
            try:
                await self._connected(changed)
            except Exception as error:  # noqa: BLE001 - edge to foreign code: a broken server is a state, not a fault of ours
                self._note(error)
            if clock.monotonic() - began > LONGEST_PAUSE_SECONDS:
                self._failures = 0
            self._failures += 1
            self._restarts += 1
            self._state = "degraded" if self.specs and self._failures < BREAKER_FAILURES else "down"
            self.first_attempt.set()
            said = self._last_words[-1] if self._last_words else None
            log.warning("mcp_server_lost", server=self._name, state=self._state, error=self._last_error, said=said)
            changed()
            pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** (self._failures - 1))
            await asyncio.sleep(pause * random.uniform(0.7, 1.3))

    async def run(self, tool: ToolSpec, arguments: dict[str, Any], context: Context) -> Outcome:
        """Call a tool; when the connection breaks, only an idempotent one is called again."""
        for attempt in (1, 2):
            client = await self._reachable(context.seconds)
            try:
                return await self._call(client, tool, arguments, context)
            except _Refused as error:
                self._lose(client)
                if attempt == 2:
                    raise ServerDown(str(error)) from error
            except _Lost as error:
                self._lose(client)
                if not tool.idempotent:
                    raise OutcomeUnknown(
                        f"the connection to {self._name} broke while the tool was running; it was not run again"
                    ) from error
                if attempt == 2:
                    raise ServerDown(f"the connection to {self._name} broke twice") from error
        raise ServerDown

    def _lose(self, client: Client) -> None:
        """Give the connection up at once, so that nobody is handed it again; its owner clears away and reconnects."""
        if client is self._client:
            self._client, self._state = None, "degraded"
            self._last_error = "the connection broke"
            self._ready.clear()
            self._lost.set()

    async def _reachable(self, seconds: float) -> Client:
        if self._client is None and self._state in ("starting", "degraded"):
            try:
                async with asyncio.timeout(min(seconds, self.settings.patience_seconds)):
                    await self._ready.wait()
            except TimeoutError:
                pass
        if self._client is None:
            raise ServerDown(f"the server {self._name} cannot be reached: {self._last_error or 'not connected'}")
        return self._client

    async def _call(self, client: Client, tool: ToolSpec, arguments: dict[str, Any], context: Context) -> Outcome:
        async def report(progress: float, total: float | None, message: str | None) -> None:
            context.emit(f"{message or _share(progress, total)}\n")

        seconds = min(context.seconds, self.settings.timeout_seconds)
        patience = asyncio.timeout(seconds + LATE_SECONDS)
        self._calls.add(patience)
        try:
            async with patience:
                result = await client.call_tool(
                    self._remote[tool.name], arguments, read_timeout_seconds=seconds, progress_callback=report
                )
        except MCPError as error:
            raise self._translated(error, seconds) from error
        except TimeoutError as error:
            if client is not self._client:
                raise _Lost(str(error)) from error
            raise ToolFailed(f"{self._name} did not answer within {seconds:.0f} s", code="timeout") from error
        except Exception as error:
            if client is not self._client or self._lost.is_set():
                raise _Lost(str(error)) from error
            raise ToolFailed(
                f"{self._name} answered what cannot be read: {str(error)[:500]}", code="bad_answer"
            ) from error
        finally:
            self._calls.discard(patience)
        return outcome_of(result, context.max_bytes)

    def _translated(self, error: MCPError, seconds: float) -> Exception:
        if error.code == REQUEST_TIMEOUT:
            return ToolFailed(f"{self._name} did not answer within {seconds:.0f} s", code="timeout")
        if "session not found" in error.message.lower():
            return _Refused(error.message)  # the server forgot us and did nothing
        if error.code == CONNECTION_CLOSED or "connection closed" in error.message.lower():
            return _Lost(error.message)
        return ToolFailed(error.message[:2000])

    async def _connected(self, changed: Callable[[], None]) -> None:
        self._lost.clear()
        self._last_words.clear()
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(self.settings.patience_seconds):
                client = await stack.enter_async_context(
                    Client(self._transport(), message_handler=self._heard, cache=None)
                )
                await self._list(client)
            self._client, self._state, self._last_error = client, "ready", self._complaint()
            self._version = client.protocol_version
            self._ready.set()
            self.first_attempt.set()
            changed()
            try:
                await self._watch(client, changed)
            finally:
                self._client, self._state = None, "degraded"
                self._ready.clear()
                for patience in self._calls:  # the SDK does not always tell the calls that their connection is gone
                    patience.reschedule(0)

    def _transport(self) -> AbstractAsyncContextManager[tuple[Any, Any]]:
        settings = self.settings
        if settings.url is not None:
            return http_transport(
                settings.url,
                settings.headers,
                guard=not settings.allow_private,
                connect_seconds=settings.patience_seconds,
                read_seconds=settings.timeout_seconds + 5,
            )
        return stdio_transport(settings.command, self._environment, settings.cwd, self._last_words)

    async def _watch(self, client: Client, changed: Callable[[], None]) -> None:
        """Until the connection is lost: look now and then whether the server is there and what it offers."""
        while True:
            try:
                async with asyncio.timeout(REFRESH_SECONDS * random.uniform(0.8, 1.2)):
                    await self._lost.wait()
                return
            except TimeoutError:
                pass
            before = [spec.fingerprint for spec in self.specs]
            async with asyncio.timeout(self.settings.patience_seconds):
                await self._list(client)
            self._failures = 0
            self._last_error = self._complaint()
            if [spec.fingerprint for spec in self.specs] != before:
                changed()

    async def _heard(self, message: Any) -> None:
        if isinstance(message, Exception):
            self._lost.set()

    async def _list(self, client: Client) -> None:
        found: list[Tool] = []
        cursor: str | None = None
        while len(found) < MAX_TOOLS:
            page = await client.list_tools(cursor=cursor)
            found += page.tools
            cursor = page.next_cursor
            if not cursor:
                break
        remote: dict[str, str] = {}
        specs = []
        for tool in found[:MAX_TOOLS]:
            name = tool_name(self._name, tool.name, remote)  # the server may tell apart what we write alike
            remote[name] = tool.name
            specs.append(self._spec(name, tool))
        specs.sort(key=lambda spec: spec.name)
        self._remote = remote
        self._quarantined = {spec.name for spec in specs if self._is_changed(spec)}
        self.specs = [spec for spec in specs if spec.name not in self._quarantined]

    def _is_changed(self, spec: ToolSpec) -> bool:
        """Whether a tool is no longer what it was when it was first seen, or what the operator pinned."""
        remote = self._remote[spec.name]
        return self._known.setdefault(remote, spec.fingerprint) != spec.fingerprint

    def _spec(self, name: str, tool: Tool) -> ToolSpec:
        schema = tool.input_schema if tool.input_schema.get("type") == "object" else {"type": "object"}
        hints = tool.annotations.model_dump(exclude_none=True) if tool.annotations else None
        chosen = self.settings.idempotent
        return ToolSpec(
            name=name,
            server=self._name,
            description=(tool.description or tool.title or tool.name)[:8192],
            input_schema=schema,
            source="mcp",
            pool=self.settings.pool,
            # Hints of the server are not believed: only the operator says what may run twice.
            idempotent=chosen if isinstance(chosen, bool) else tool.name in chosen,
            timeout_seconds=self.settings.timeout_seconds,
            fingerprint=fingerprint(tool.name, tool.description or "", tool.input_schema, hints),
        )

    def _complaint(self) -> str | None:
        if not self._quarantined:
            return None
        names = ", ".join(sorted(self._quarantined))
        return f"changed since first seen and set aside until approved (tools.mcp.{self._name}.pinned): {names}"

    def _note(self, error: Exception) -> None:
        """Keep why it broke. What the process said may hold its command line or a secret: that is for the log only."""
        reason = _innermost(error)
        text = "it did not answer in time" if isinstance(reason, TimeoutError) else str(reason) or type(reason).__name__
        self._last_error = self._without_secrets(text)[:500]

    def _without_secrets(self, text: str) -> str:
        settings = self.settings
        private = [*settings.command, *settings.env.values(), *settings.headers.values(), settings.url or ""]
        for secret in sorted({value for value in private if len(value) >= SHORTEST_SECRET}, key=len, reverse=True):
            text = text.replace(secret, "…")
        return text


class _Lost(Exception):
    """The connection is gone, and nobody knows what became of the call."""


class _Refused(Exception):
    """The server did not take the call."""


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _share(done: float, total: float | None) -> str:
    return f"{done:g}/{total:g}" if total else f"{done:g}"
