"""Runs the tool calls of one model turn."""

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from tollway.tools.call import ToolCall, ToolResult
from tollway.tools.handlers import McpToolExecute, ToolInfo
from tollway.tools.registry import ToolRegistry

log = logging.getLogger("tollway.tools")


class ToolExecutor(McpToolExecute):
    """Runs calls side by side and answers each, in order; a failure is an answer too, so that the model can go on.

    Beside the registry's tools it runs handlers that are registered with `register_tool_handler`.
    """

    def __init__(
        self, registry: ToolRegistry | None = None, *, timeout_seconds: float = 60.0, parallel: int = 4
    ) -> None:
        super().__init__()
        self.registry = registry if registry is not None else ToolRegistry()
        self.timeout_seconds = timeout_seconds
        self._parallel = parallel

    async def execute(self, calls: Any) -> list[ToolResult]:
        """Runs tool calls: a list of them, one, or an answer that has `tool_calls`."""
        room = asyncio.Semaphore(self._parallel)

        async def run(call: ToolCall) -> ToolResult:
            async with room:
                return await self._run(call)

        return list(await asyncio.gather(*(run(call) for call in _calls(calls))))

    def get_tools(self) -> list[ToolInfo]:
        """The registry's tools and the registered handlers."""
        registered = [
            ToolInfo(
                name=each.name,
                description=each.description,
                input_schema=each.input_schema,
                supports_streaming=each.supports_streaming,
                idempotent=each.idempotent,
            )
            for each in self.registry
        ]
        return [*registered, *super().get_tools()]

    def _handler(self, name: str) -> Callable[..., Any] | None:
        wanted = self.registry.get(name)
        return wanted.run if wanted is not None else super()._handler(name)

    async def _run(self, call: ToolCall) -> ToolResult:
        if self._handler(call.name) is None:
            known = ", ".join(each.name for each in self.get_tools())
            return _failed(call, f"there is no tool named {call.name!r}; there are: {known}")
        try:
            arguments = json.loads(call.arguments)
        except ValueError as error:
            return _failed(call, f"the arguments do not fit: they are not JSON: {error}")
        deadline = asyncio.timeout(self.timeout_seconds)
        try:
            async with deadline:
                text = await self.execute_tool(call.name, arguments)
        except ValidationError as error:
            return _failed(call, f"the arguments do not fit: {_misfits(error)}")
        except Exception as error:  # whatever a tool raises is told to the model
            if deadline.expired():
                return _failed(call, f"{call.name} took longer than {self.timeout_seconds:g} s")
            log.warning("tool %s failed", call.name, exc_info=True)
            return _failed(call, f"{type(error).__name__}: {error}")
        return ToolResult(call.id, call.name, text)


def _calls(told: Any) -> list[ToolCall]:
    inside = getattr(told, "tool_calls", None)
    if inside is not None:
        told = inside
    one = isinstance(told, ToolCall | Mapping) or not isinstance(told, Iterable)
    return [ToolCall.read(call) for call in ([told] if one else told)]


def _misfits(error: ValidationError) -> str:
    told = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(": ".join([*(str(part) for part in each["loc"][:1]), each["msg"]]) for each in told)


def _failed(call: ToolCall, reason: str) -> ToolResult:
    return ToolResult(call.id, call.name, f"Error: {reason}", is_error=True)
