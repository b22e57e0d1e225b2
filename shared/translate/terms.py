"""The terms of translating a request: what the target takes, what was lost on the way, what has to be refused."""

import re
from collections.abc import Collection, Mapping
from typing import Any, Literal

import msgspec

from shared.errors import BadRequest

MOST_LOSSES = 50
LONGEST_LOSS = 64
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9_.\[\]-]")
SAMPLING_REFUSED_SINCE = "2026-10-21"
_NOTHING: tuple[Any, ...] = ("", [], {}, False)
# What a chat message may hold and a Messages answer has no block for.
UNSAID = ("audio", "images", "annotations")


class CannotTranslate(BadRequest):
    """The request asks for something that the model's provider cannot be asked for."""

    code = "cannot_translate"

    def __init__(self, param: str, message: str) -> None:
        super().__init__(f"{param}: {message}", param=param)


class RequestOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the target takes; the defaults suit a provider of which nothing is known."""

    model: str | None = None
    max_tokens_limit: int | None = None

    # Toward Anthropic.
    max_tokens_default: int = 8192
    anthropic_version: str = "2023-06-01"
    thinking: Literal["adaptive", "budget"] = "adaptive"
    takes_system_anywhere: bool = False
    wraps_invalid_arguments: bool = False

    # Toward OpenAI.
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    takes_late_system: bool = False
    takes_reasoning_content: bool = False
    takes_thinking_blocks: bool = False
    takes_cache_breakpoints: bool = False

    @property
    def takes_sampling(self) -> bool:
        """Whether the Anthropic version still knows temperature, top_p and top_k."""
        return self.anthropic_version < SAMPLING_REFUSED_SINCE


class Translated(msgspec.Struct, frozen=True):
    """A request in the other dialect.

    `lossy` names what could not be carried; `legacy_functions` and `custom_tools` are what the answer's translation has
    to know of the request.
    """

    body: dict[str, Any]
    lossy: tuple[str, ...] = ()
    legacy_functions: bool = False
    custom_tools: frozenset[str] = frozenset()


class Losses:
    """Collects the names of what is lost, each once, in order.

    They end up in a response header, and some are words of the request's own: only plain ones, and not too many.
    """

    def __init__(self) -> None:
        self._names: dict[str, None] = {}

    def add(self, name: str) -> None:
        """Notes one loss."""
        if len(self._names) < MOST_LOSSES:
            self._names[_NOT_PLAIN.sub("?", name[:LONGEST_LOSS])] = None

    def add_unless(self, members: Mapping[str, Any], carried: Collection[str], where: str) -> None:
        """Notes every member that says something and is not carried."""
        for name, value in members.items():
            if name not in carried and value is not None and value not in _NOTHING:
                self.add(f"{where}.{name}")

    def told(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(self._names)


DEFAULT_OPTIONS = RequestOptions()


def wanted_text(value: Any, where: str) -> str:
    """The value as text; absent is empty, anything else is the caller's mistake."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise CannotTranslate(where, "must be a string")
    return value


def wanted_objects(value: Any, where: str) -> list[dict[str, Any]]:
    """The value as a list of objects; absent is empty, anything else is the caller's mistake."""
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise CannotTranslate(where, "must be a list of objects")
    return value
