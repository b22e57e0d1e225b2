"""The seam every source of tools fits: what it offers, how it is doing, and one coroutine that runs a call."""

import hashlib
import json
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Protocol

from shared.messages.tools import ServerStatus, ToolSpec
from shared.wire.tool_call import ToolImage

MAX_NAME = 64
_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True)
class Outcome:
    """What a tool answered. `is_error` marks an answer that tells of a failure."""

    text: str
    is_error: bool = False
    images: tuple[ToolImage, ...] = ()


@dataclass(frozen=True)
class Context:
    """What a running call may know and do; `emit` passes on a piece of a streaming tool's output."""

    call_id: str
    key_id: str | None
    seconds: float
    max_bytes: int
    emit: Callable[[str], None]


class Provider(Protocol):
    """A source of tools. `run` is cancelled when nobody wants the answer any more."""

    def tools(self) -> list[ToolSpec]: ...
    def servers(self) -> list[ServerStatus]: ...
    async def run(self, tool: ToolSpec, arguments: dict[str, Any], context: Context) -> Outcome: ...
    async def serve(self, changed: Callable[[], None]) -> None:
        """Hold what the source needs until cancelled; call `changed` whenever tools or states change."""

    async def settled(self) -> None:
        """Return when the first attempt to reach every server is over, well or badly."""


def tool_name(server: str, tool: str, taken: Collection[str] = ()) -> str:
    """`server__tool`, made of what every provider allows in a function's name, no longer than that, and not taken."""
    plain = _NOT_ALLOWED.sub("_", f"{server}__{tool}")
    if len(plain) <= MAX_NAME and plain not in taken:
        return plain
    digest = hashlib.sha256(f"{server}__{tool}".encode()).hexdigest()[:8]
    return f"{plain[: MAX_NAME - 9]}_{digest}"


def fingerprint(name: str, description: str, schema: dict[str, Any], extra: Any = None) -> str:
    """A hash of everything that makes a tool what it is, so that a silent change is noticed."""
    canonical = json.dumps([name, description, schema, extra], sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()
