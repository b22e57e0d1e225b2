"""The chat server's way to tools: handlers with callbacks for chunks, completion and errors."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
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
        handler = self._handlers.get(name)
        told = _Once(on_complete, on_error)
        if handler is None:
            await told.error(f"there is no tool named {name!r}")
            msg = f"there is no tool named {name!r}"
            raise ToolError(msg)
        waiting: list[Awaitable[None]] = []

        def chunk(content: str) -> None:
            _call(on_chunk, content, waiting)

        try:
            result = handler(arguments or {}, on_chunk=chunk, on_complete=told.complete_soon, on_error=told.error_soon)
            text = as_text(await result if inspect.isawaitable(result) else result)
        except Exception as error:
            await told.error(f"{type(error).__name__}: {error}")
            raise
        finally:
            for each in waiting:
                await each
        await told.complete(text)
        return text


class _Once:
    """Lets the first verdict through, whoever gives it."""

    def __init__(self, on_complete: Callback | None, on_error: Callback | None) -> None:
        self._on_complete = on_complete
        self._on_error = on_error
        self._said = False
        self._waiting: list[Awaitable[None]] = []

    def complete_soon(self, result: Any) -> None:
        self._say(self._on_complete, as_text(result))

    def error_soon(self, reason: Any) -> None:
        self._say(self._on_error, str(reason))

    async def complete(self, result: str) -> None:
        self._say(self._on_complete, result)
        await self._settle()

    async def error(self, reason: str) -> None:
        self._say(self._on_error, reason)
        await self._settle()

    def _say(self, callback: Callback | None, text: str) -> None:
        if not self._said:
            self._said = True
            _call(callback, text, self._waiting)

    async def _settle(self) -> None:
        while self._waiting:
            await self._waiting.pop(0)


def _call(callback: Callback | None, text: str, waiting: list[Awaitable[None]]) -> None:
    result = callback(text) if callback is not None else None
    if inspect.isawaitable(result):
        # started at once, so that a slow reader does not hold the tool up; awaited before the verdict
        waiting.append(asyncio.ensure_future(result))


def _about(handler: Handler) -> str:
    return inspect.getdoc(handler) or ""
