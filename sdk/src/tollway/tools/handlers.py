"""The chat server's way to tools: handlers with callbacks for chunks, completion and errors.

A handler is a coroutine, a plain function (which runs in a thread) or a generator, and takes the callbacks it wants.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import Any, TypeAlias

from pydantic import BaseModel, Field

from tollway.errors import ToolError
from tollway.tools.call import as_text

Callback: TypeAlias = Callable[[str], Awaitable[None] | None]
Handler: TypeAlias = Callable[..., Any]


class ToolInfo(BaseModel):
    """What is told about a tool."""

    name: str
    description: str = ""
    input_schema: dict[str, Any] = Field(default_factory=lambda: {"type": "object", "properties": {}})
    supports_streaming: bool = False
    idempotent: bool = False

    @property
    def schema_for_models(self) -> dict[str, Any]:
        """The tool as a chat request offers it."""
        function = {"name": self.name, "description": self.description, "parameters": self.input_schema}
        return {"type": "function", "function": function}


class McpToolExecute:
    """Runs registered handlers: `handler(arguments, on_chunk=None, on_complete=None, on_error=None)`."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}
        self._infos: dict[str, ToolInfo] = {}

    def register_tool_handler(self, name: str, handler: Handler, tool_info: ToolInfo | None = None) -> None:
        """Registers or replaces the handler of a tool."""
        if not callable(handler):
            msg = f"the handler of tool {name!r} cannot be called"
            raise ToolError(msg)
        self._handlers[name] = handler
        self._infos[name] = tool_info or self._infos.get(name) or ToolInfo(name=name, description=_about(handler))

    def register_tool(self, tool_info: ToolInfo, handler: Handler) -> None:
        """Registers a handler together with what is told about it."""
        self.register_tool_handler(tool_info.name, handler, tool_info)

    def unregister_tool(self, name: str) -> None:
        self._handlers.pop(name, None)
        self._infos.pop(name, None)

    def get_tools(self) -> list[ToolInfo]:
        """Everything registered."""
        return list(self._infos.values())

    async def execute_tool(
        self,
        name: str,
        arguments: dict[str, Any] | None = None,
        *,
        on_chunk: Callback | None = None,
        on_complete: Callback | None = None,
        on_error: Callback | None = None,
    ) -> str:
        """Runs a tool and returns its result as text. Callbacks may be plain functions or coroutines.

        Whether the handler calls them itself or not, `on_complete` or `on_error` is called exactly once.
        """
        handler = self._handler(name)
        told = _Told(on_chunk, on_complete, on_error)
        if handler is None:
            await told.error(f"there is no tool named {name!r}")
            msg = f"there is no tool named {name!r}"
            raise ToolError(msg)
        try:
            value = await _called(handler, arguments or {}, told)
            text = told.result() if value is None else as_text(value)
        except Exception as error:
            await told.error(f"{type(error).__name__}: {error}")
            raise
        await told.complete(text)
        return text

    def _handler(self, name: str) -> Handler | None:
        return self._handlers.get(name)


class _Told:
    """What a handler says through its callbacks. The first verdict goes through, whoever gives it."""

    def __init__(self, on_chunk: Callback | None, on_complete: Callback | None, on_error: Callback | None) -> None:
        self._on_chunk = on_chunk
        self._on_complete = on_complete
        self._on_error = on_error
        self._chunks: list[str] = []
        self._completed: str | None = None
        self._failed: str | None = None
        self._waiting: list[Awaitable[None]] = []

    def result(self) -> str:
        """The result of a handler that returned nothing: what it called complete, else all of its chunks."""
        if self._failed is not None:
            raise ToolError(self._failed)
        if self._completed is not None:
            return self._completed
        return "".join(self._chunks) if self._chunks else as_text(None)

    def chunk(self, content: Any) -> None:
        self._chunks.append(as_text(content))
        _call(self._on_chunk, self._chunks[-1], self._waiting)

    def complete_soon(self, result: Any) -> None:
        if not self._said:
            self._completed = as_text(result)
            _call(self._on_complete, self._completed, self._waiting)

    def error_soon(self, reason: Any) -> None:
        if not self._said:
            self._failed = str(reason)
            _call(self._on_error, self._failed, self._waiting)

    async def complete(self, result: str) -> None:
        await self._settle()
        self.complete_soon(result)
        await self._settle()

    async def error(self, reason: str) -> None:
        await self._settle()
        self.error_soon(reason)
        await self._settle()

    @property
    def _said(self) -> bool:
        return self._completed is not None or self._failed is not None

    async def _settle(self) -> None:
        while self._waiting:
            await self._waiting.pop(0)


async def _called(handler: Handler, arguments: dict[str, Any], told: _Told) -> Any:
    callbacks = {"on_chunk": told.chunk, "on_complete": told.complete_soon, "on_error": told.error_soon}
    wanted = _accepted(handler, callbacks)
    if inspect.iscoroutinefunction(handler) or inspect.isasyncgenfunction(handler):
        value = handler(arguments, **wanted)
    else:
        value = await asyncio.to_thread(handler, arguments, **_from_a_thread(wanted))
    while inspect.isawaitable(value):
        value = await value
    if inspect.isasyncgen(value):
        async with aclosing(value):
            async for piece in value:
                told.chunk(piece)
        return None
    if inspect.isgenerator(value):
        while (piece := await asyncio.to_thread(next, value, told)) is not told:
            told.chunk(piece)
        return None
    return value


def _accepted(handler: Handler, callbacks: dict[str, Handler]) -> dict[str, Handler]:
    """The callbacks that the handler has a parameter for."""
    try:
        parameters = inspect.signature(handler).parameters
    except (TypeError, ValueError):
        return callbacks
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return callbacks
    return {name: callback for name, callback in callbacks.items() if name in parameters}


def _from_a_thread(callbacks: dict[str, Handler]) -> dict[str, Handler]:
    """The callbacks as a thread may call them: what it says is heard on the loop, in order and before its end."""
    loop = asyncio.get_running_loop()
    return {name: partial(loop.call_soon_threadsafe, callback) for name, callback in callbacks.items()}


def _call(callback: Callback | None, text: str, waiting: list[Awaitable[None]]) -> None:
    result = callback(text) if callback is not None else None
    if inspect.isawaitable(result):
        # started at once, so that a slow reader does not hold the tool up; awaited before the verdict
        waiting.append(asyncio.ensure_future(result))


def _about(handler: Handler) -> str:
    return inspect.getdoc(handler) or ""
