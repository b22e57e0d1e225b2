"""Makes a tool of a function: name, description and JSON schema come from its signature and docstring."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Any, overload

from pydantic import BaseModel, ConfigDict, create_model

from tollway.errors import ToolError


class Tool:
    """A function a model may call. Calling the tool calls the function."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        idempotent: bool = False,
    ) -> None:
        self.function = function
        self.name: str = name or str(getattr(function, "__name__", ""))
        self.description = description or inspect.getdoc(function) or ""
        self.idempotent = idempotent
        self.supports_streaming = inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function)
        if not self.name.isidentifier() and not self.name.replace("-", "_").isidentifier():
            msg = f"a tool needs a name of letters, digits, _ and -: {self.name!r}"
            raise ToolError(msg)
        self._arguments = _arguments_model(self.name, function)
        self.__doc__ = self.description
        self.__name__ = self.name

    @property
    def input_schema(self) -> dict[str, Any]:
        """The JSON schema of the arguments."""
        schema = self._arguments.model_json_schema()
        schema.pop("title", None)
        return schema

    @property
    def schema(self) -> dict[str, Any]:
        """The tool as a chat request offers it."""
        function = {"name": self.name, "description": self.description, "parameters": self.input_schema}
        return {"type": "function", "function": function}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def __get__(self, instance: object, owner: type | None = None) -> "Tool":
        """The tool of one object, when a method was made one."""
        if instance is None:
            return self
        bound = self.function.__get__(instance, owner)
        return Tool(bound, name=self.name, description=self.description, idempotent=self.idempotent)

    async def run(self, arguments: str | dict[str, Any]) -> Any:
        """Validates the arguments, then runs the function; a blocking one runs in a thread.

        A tool that streams gives back its generator, which nothing has run of yet.
        """
        read = self._arguments
        given = read.model_validate_json(arguments) if isinstance(arguments, str) else read.model_validate(arguments)
        # the values as validated, so that nested models arrive as models
        values = {name: getattr(given, name) for name in type(given).model_fields} | (given.model_extra or {})
        if self.supports_streaming:
            return self.function(**values)
        if inspect.iscoroutinefunction(self.function):
            return await self.function(**values)
        result = await asyncio.to_thread(self.function, **values)
        return await result if inspect.isawaitable(result) else result


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...
@overload
def tool(
    *, name: str | None = None, description: str | None = None, idempotent: bool = False
) -> Callable[[Callable[..., Any]], Tool]: ...
def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    idempotent: bool = False,
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Makes a tool of a function: `@tool` or `@tool(name=…, description=…, idempotent=True)`."""

    def make(target: Callable[..., Any]) -> Tool:
        return Tool(target, name=name, description=description, idempotent=idempotent)

    return make(function) if function is not None else make


def _arguments_model(name: str, function: Callable[..., Any]) -> type[BaseModel]:
    try:
        parameters = inspect.signature(function, eval_str=True).parameters.values()
    except (TypeError, ValueError, NameError) as error:
        msg = f"the signature of tool {name!r} cannot be read: {error}"
        raise ToolError(msg) from error
    fields: dict[str, Any] = {}
    extra = False
    for parameter in parameters:
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            extra = True
            continue
        if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.POSITIONAL_ONLY):
            msg = f"tool {name!r}: a model can only name its arguments, but {parameter.name!r} has no name"
            raise ToolError(msg)
        kind = Any if parameter.annotation is parameter.empty else parameter.annotation
        fields[parameter.name] = (kind, ... if parameter.default is parameter.empty else parameter.default)
    config = ConfigDict(extra="allow" if extra else "forbid", arbitrary_types_allowed=True, protected_namespaces=())
    try:
        return create_model(f"{name}_arguments", __config__=config, **fields)
    except Exception as error:
        msg = f"tool {name!r}: its arguments cannot be described to a model: {error}"
        raise ToolError(msg) from error
