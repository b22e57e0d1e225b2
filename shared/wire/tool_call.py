"""A model's wish to have a tool run, as both dialects mean it."""

from typing import Any

import msgspec

from shared.wire.json_text import NotJsonError, decode, encode_text

UNREADABLE = "_raw"


class ToolCall(msgspec.Struct, frozen=True):
    """One call; `arguments` is JSON text, as the model gave it."""

    id: str
    name: str
    arguments: str


class ToolImage(msgspec.Struct, frozen=True):
    """A picture in a tool's answer, in base64; the text beside it says where it belongs."""

    media_type: str
    data: str


def arguments_text(arguments: Any) -> str:
    """Arguments as JSON text, whatever they came as; none at all are an empty object."""
    if arguments is None or (isinstance(arguments, str) and not arguments.strip()):
        return "{}"
    return arguments if isinstance(arguments, str) else encode_text(arguments)


def arguments_object(arguments: Any) -> dict[str, Any] | None:
    """Arguments as an object, whatever they came as; None when they are not one."""
    if isinstance(arguments, dict):
        return arguments
    try:
        value = decode(arguments_text(arguments))
    except NotJsonError:
        return None
    return value if isinstance(value, dict) else None


def readable_arguments(arguments: str) -> dict[str, Any]:
    """Arguments as an object in any case: providers refuse a history with a call whose arguments are not one."""
    found = arguments_object(arguments)
    return {UNREADABLE: arguments} if found is None else found
