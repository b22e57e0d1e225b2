"""Tools written in Python by the operator: the library's registries, handlers with callbacks, and plain functions.

What is loaded is recognised by its shape, so that the operator's code needs nothing of ours installed.
"""

import asyncio
import importlib
import inspect
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import structlog
from pydantic import ConfigDict, ValidationError, create_model

from services.tools.errors import ArgumentsInvalid, ToolFailed, ToolUnknown
from services.tools.providers.base import Context, Outcome, fingerprint, tool_name
from shared.config import LiveConfig
from shared.config.schema import Config
from shared.messages.tools import ServerStatus, ToolSpec

log = structlog.get_logger(__name__)

SERVER = "python"
_END = object()
Emit = Callable[[str], None]


@dataclass(frozen=True)
class Handler:
    """One tool of the operator's."""

    name: str
    description: str
    input_schema: dict[str, Any]
    streams: bool
    idempotent: bool
    call: Callable[[dict[str, Any], Emit], Any]


class PythonProvider:
    """Loads what the configuration names and runs it in this process."""

    def __init__(self, config: LiveConfig, folders: Sequence[Path]) -> None:
        self._config = config
        self._folders = folders
        self._names: tuple[str, ...] = ()
        self._handlers: dict[str, Handler] = {}
        self._specs: list[ToolSpec] = []
        self._error: str | None = None
        self._changed: Callable[[], None] = lambda: None
        self._load(config.current.tools.python)
        config.subscribe(self._reconsider)

    def tools(self) -> list[ToolSpec]:
        """What was loaded."""
        return self._specs

    def servers(self) -> list[ServerStatus]:
        """One server for all Python code, when any is configured."""
        if not self._names:
            return []
        state = "ready" if self._error is None else "degraded" if self._specs else "down"
        return [
            ServerStatus(name=SERVER, kind="python", state=state, tool_count=len(self._specs), last_error=self._error)
        ]

    async def serve(self, changed: Callable[[], None]) -> None:
        """Nothing to hold, but changes of the configuration are told."""
        self._changed = changed

    async def settled(self) -> None:
        """At once."""

    async def run(self, tool: ToolSpec, arguments: dict[str, Any], context: Context) -> Outcome:
        """Run the operator's code; whatever it returns becomes text."""
        handler = self._handlers.get(tool.name)
        if handler is None:
            raise ToolUnknown
        voice = _Voice(context.emit)
        try:
            value = await _finished(handler.call(arguments, voice.say), voice.say)
        except ValidationError as error:
            raise ArgumentsInvalid(str(error)[:2000]) from error
        finally:
            voice.over = True
        return Outcome("".join(voice.said) if value is None and voice.said else as_text(value))

    def _reconsider(self, config: Config) -> None:
        if config.tools.python != self._names:
            self._load(config.tools.python)
            self._changed()

    def _load(self, names: tuple[str, ...]) -> None:
        self._names, self._error = names, None
        self._handlers = {}
        for folder in self._folders:
            if names and str(folder) not in sys.path:
                sys.path.append(str(folder))
        for name in names:
            try:
                for handler in handlers_of(_attribute(name)):
                    self._handlers.setdefault(tool_name(SERVER, handler.name), handler)
            except Exception as error:  # noqa: BLE001 - edge to foreign code: its failure to load is a state to be shown
                self._error = f"{name}: {type(error).__name__}: {error}"[:500]
                log.error("python_tools_not_loaded", name=name, error=self._error)
        self._specs = [_spec(name, self._handlers[name]) for name in sorted(self._handlers)]


class _Voice:
    """Passes on what a call says while it runs, from whichever thread it speaks."""

    def __init__(self, emit: Emit) -> None:
        self.said: list[str] = []
        self.over = False
        self._emit = emit
        self._loop = asyncio.get_running_loop()
        self._home = threading.get_ident()

    def say(self, piece: Any) -> None:
        """A piece of the answer; None is no piece."""
        if piece is None:
            return
        text = as_text(piece)
        if threading.get_ident() == self._home:
            self._pass_on(text)
        else:
            self._loop.call_soon_threadsafe(self._pass_on, text)

    def _pass_on(self, text: str) -> None:
        if not self.over:  # a thread cannot be cancelled, and may go on speaking
            self.said.append(text)
            self._emit(text)


def _attribute(name: str) -> Any:
    module, _, attribute = name.partition(":")
    if not attribute:
        raise ToolFailed("write it as module:attribute")
    found: Any = importlib.import_module(module)
    for part in attribute.split("."):
        found = getattr(found, part)
    return found


def handlers_of(thing: Any) -> Iterator[Handler]:
    """The tools in whatever the operator named: an executor, a registry, a tool, a function, or several of them."""
    if hasattr(thing, "execute_tool") and hasattr(thing, "get_tools"):
        yield from (_from_executor(thing, info) for info in thing.get_tools())
    elif hasattr(thing, "input_schema") and hasattr(thing, "run"):
        yield _from_tool(thing)
    elif isinstance(thing, dict):
        for item in thing.values():
            yield from handlers_of(item)
    elif isinstance(thing, Iterable) and not isinstance(thing, str | bytes):
        for item in thing:
            yield from handlers_of(item)
    elif callable(thing):
        yield _from_function(thing)
    else:
        raise ToolFailed(f"{type(thing).__name__} is neither a registry nor a tool")


def _from_tool(tool: Any) -> Handler:
    function = getattr(tool, "function", tool.run)
    return Handler(
        name=tool.name,
        description=tool.description,
        input_schema=tool.input_schema,
        streams=bool(getattr(tool, "supports_streaming", False)) or inspect.isasyncgenfunction(function),
        idempotent=bool(getattr(tool, "idempotent", False)),
        call=lambda arguments, emit: tool.run(arguments),
    )


def _from_executor(executor: Any, info: Any) -> Handler:
    return Handler(
        name=info.name,
        description=info.description,
        input_schema=info.input_schema,
        streams=bool(info.supports_streaming),
        idempotent=bool(getattr(info, "idempotent", False)),
        call=lambda arguments, emit: executor.execute_tool(info.name, arguments, on_chunk=emit),
    )


def _from_function(function: Callable[..., Any]) -> Handler:
    """A plain function: its signature is the schema. One that takes `on_chunk` may stream through it."""
    name = getattr(function, "__name__", type(function).__name__)
    fields: dict[str, Any] = {}
    takes_callback = False
    for parameter in inspect.signature(function, eval_str=True).parameters.values():
        if parameter.name == "on_chunk":
            takes_callback = True
        elif parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            kind = Any if parameter.annotation is parameter.empty else parameter.annotation
            fields[parameter.name] = (kind, ... if parameter.default is parameter.empty else parameter.default)
    model = create_model(f"{name}_arguments", __config__=ConfigDict(extra="forbid"), **fields)
    schema = model.model_json_schema()
    schema.pop("title", None)

    def call(arguments: dict[str, Any], emit: Emit) -> Any:
        given = model.model_validate(arguments)
        values = {field: getattr(given, field) for field in fields}
        if takes_callback:
            values["on_chunk"] = emit
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            return function(**values)
        return asyncio.to_thread(function, **values)

    streams = takes_callback or inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function)
    idempotent = bool(getattr(function, "idempotent", False))
    return Handler(name, inspect.getdoc(function) or name, schema, streams, idempotent, call)


async def _finished(value: Any, emit: Callable[[Any], None]) -> Any:
    """Wait for what waits and pass on what streams; what is left is the answer."""
    while inspect.isawaitable(value):
        value = await value
    if isinstance(value, AsyncIterator):
        try:
            async for piece in value:
                emit(piece)
        finally:
            await getattr(value, "aclose", _nothing)()
        return None
    if inspect.isgenerator(value):
        while (piece := await asyncio.to_thread(next, value, _END)) is not _END:
            emit(piece)
        return None
    return value


async def _nothing() -> None:
    """For iterators that cannot be closed."""


def as_text(value: Any) -> str:
    """A Python value as a model reads it."""
    if isinstance(value, str):
        return value
    dump = getattr(value, "model_dump", None)
    return msgspec.json.encode(dump(mode="json") if callable(dump) else value, enc_hook=str).decode()


def _spec(name: str, handler: Handler) -> ToolSpec:
    return ToolSpec(
        name=name,
        server=SERVER,
        description=handler.description,
        input_schema=handler.input_schema,
        source="python",
        pool="python",
        supports_streaming=handler.streams,
        idempotent=handler.idempotent,
        fingerprint=fingerprint(name, handler.description, handler.input_schema),
    )
