"""Offered tools and the choice among them, both ways."""

from typing import Any

import msgspec

from shared.translate.terms import CannotTranslate, Losses, wanted_objects
from shared.wire.lenient import objects, text
from shared.wire.openai import tool_name

_CUSTOM_INPUT = {
    "type": "object",
    "properties": {"input": {"type": "string", "description": "The tool's whole input, as plain text."}},
    "required": ["input"],
}


class AnthropicTools(msgspec.Struct):
    """The tools of a chat request as Anthropic takes them."""

    tools: list[dict[str, Any]] = []
    choice: dict[str, Any] | None = None
    custom: frozenset[str] = frozenset()
    legacy: bool = False

    @property
    def is_forced(self) -> bool:
        """Whether the model must call a tool."""
        return self.choice is not None and self.choice["type"] in ("any", "tool")


def tools_to_anthropic(body: dict[str, Any], losses: Losses) -> AnthropicTools:
    """`tools`, `functions`, `tool_choice`, `function_call` and `parallel_tool_calls` of a chat request."""
    told = AnthropicTools(legacy=bool(body.get("functions")) and not body.get("tools"))
    by_name: dict[str, dict[str, Any]] = {}
    custom: set[str] = set()
    for index, tool in enumerate(wanted_objects(body.get("tools"), "tools")):
        name, translated = _tool(tool, f"tools[{index}]", losses)
        by_name.setdefault(name, translated)
        if tool.get("type") == "custom":
            custom.add(name)
    for index, function in enumerate(wanted_objects(body.get("functions"), "functions")):
        by_name.setdefault(*_function(function, f"functions[{index}]"))
    choice = body.get("tool_choice")
    if choice is None:
        choice = body.get("function_call")
    told.choice, allowed = _choice(choice, losses)
    told.tools = [tool for name, tool in by_name.items() if allowed is None or name in allowed]
    told.custom = frozenset(custom)
    # An answer in the legacy shape has room for one call.
    _settle_choice(told, parallel=not told.legacy and body.get("parallel_tool_calls") is not False)
    return told


def _settle_choice(told: AnthropicTools, *, parallel: bool) -> None:
    if not told.tools:
        if told.is_forced:
            raise CannotTranslate("tool_choice", "a tool is required but none is offered")
        told.choice = None
    elif not parallel and (told.choice is None or told.choice["type"] != "none"):
        # The wish needs an object to live in, so the default choice is said aloud.
        told.choice = {**(told.choice or {"type": "auto"}), "disable_parallel_tool_use": True}


def _tool(tool: dict[str, Any], where: str, losses: Losses) -> tuple[str, dict[str, Any]]:
    kind = tool.get("type", "function")
    if kind == "function":
        name, translated = _function(tool.get("function"), f"{where}.function")
        if isinstance(mark := tool.get("cache_control"), dict):
            translated["cache_control"] = mark
        return name, translated
    custom = tool.get("custom")
    if kind != "custom" or not isinstance(custom, dict) or not tool_name(tool):
        raise CannotTranslate(f"{where}.type", f"tools of type {kind} cannot be offered to this model's provider")
    form = custom.get("format")
    if isinstance(form, dict) and form.get("type") == "grammar":
        losses.add("tools.custom.format")
    name = tool_name(tool)
    translated = {"name": name, "input_schema": _CUSTOM_INPUT}
    if custom.get("description"):
        translated["description"] = custom["description"]
    return name, translated


def _function(function: Any, where: str) -> tuple[str, dict[str, Any]]:
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
        raise CannotTranslate(f"{where}.name", "a function needs a name")
    schema = function.get("parameters")
    if schema is None:
        schema = {"type": "object", "properties": {}}
    elif not isinstance(schema, dict):
        raise CannotTranslate(f"{where}.parameters", "must be an object")
    elif "type" not in schema:
        schema = {"type": "object", **schema}
    translated = {"name": function["name"], "input_schema": schema}
    for key in ("description", "strict"):
        if function.get(key) is not None:
            translated[key] = function[key]
    return function["name"], translated


def _choice(choice: Any, losses: Losses) -> tuple[dict[str, Any] | None, set[str] | None]:
    """The choice, and the names it narrows the tools to, if it does."""
    simple = {"auto": "auto", "none": "none", "required": "any"}
    if choice is None:
        return None, None
    if isinstance(choice, str):
        if choice not in simple:
            raise CannotTranslate("tool_choice", f"{choice!r} is not one of none, auto, required")
        return {"type": simple[choice]}, None
    if not isinstance(choice, dict):
        raise CannotTranslate("tool_choice", "must be a string or an object")
    if choice.get("type") == "allowed_tools":
        allowed = choice.get("allowed_tools")
        allowed = allowed if isinstance(allowed, dict) else {}
        losses.add("tool_choice.allowed_tools")
        names = {tool_name(tool) for tool in objects(allowed.get("tools"))}
        return {"type": simple.get(str(allowed.get("mode")), "auto")}, names
    name = tool_name(choice) or choice.get("name")
    if not isinstance(name, str) or not name:
        raise CannotTranslate("tool_choice", "must name a tool")
    return {"type": "tool", "name": name}, None


def tools_to_openai(body: dict[str, Any], losses: Losses) -> dict[str, Any]:
    """The members `tools`, `tool_choice` and `parallel_tool_calls` for a Messages request's tools."""
    tools = []
    for index, tool in enumerate(wanted_objects(body.get("tools"), "tools")):
        kind = tool.get("type")
        if kind not in (None, "custom"):
            losses.add(f"tools.{kind}")
            continue
        tools.append(_offered(tool, f"tools[{index}]", losses))
    told: dict[str, Any] = {"tools": tools} if tools else {}
    choice = body.get("tool_choice")
    if not isinstance(choice, dict):
        return told
    simple = {"auto": "auto", "none": "none", "any": "required"}
    kind = text(choice.get("type"))
    if not tools:
        if kind in ("any", "tool"):
            raise CannotTranslate("tool_choice", "a tool is required but none can be offered to this model's provider")
        return told
    if kind == "tool":
        told["tool_choice"] = {"type": "function", "function": {"name": choice.get("name")}}
    elif kind in simple:
        told["tool_choice"] = simple[kind]
    else:
        raise CannotTranslate("tool_choice.type", f"{kind!r} is not one of auto, any, tool, none")
    if choice.get("disable_parallel_tool_use") is True:
        told["parallel_tool_calls"] = False
    return told


def _offered(tool: dict[str, Any], where: str, losses: Losses) -> dict[str, Any]:
    name, schema = tool.get("name"), tool.get("input_schema")
    if not isinstance(name, str) or not name:
        raise CannotTranslate(f"{where}.name", "a tool needs a name")
    function: dict[str, Any] = {"name": name}
    for key in ("description", "strict"):
        if tool.get(key) is not None:
            function[key] = tool[key]
    function["parameters"] = schema if isinstance(schema, dict) else {"type": "object", "properties": {}}
    losses.add_unless(tool, ("name", "type", "description", "strict", "input_schema"), "tools")
    return {"type": "function", "function": function}
