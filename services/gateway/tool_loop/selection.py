"""Which tools a request is given: what was asked for, narrowed by what the key may use, each fault naming its tool."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from services.gateway.tool_loop.catalogue import Catalogue
from shared.errors import BadRequest, Forbidden, Unavailable
from shared.messages.tools import ToolSpec
from shared.tool_rules import permits
from shared.wire.tool_call import ToolImage

PARAM = "tollway.tools"


class ToolObserver(Protocol):
    """Hears of the tools in order with the answer's chunks, from whoever pulls them."""

    def tool_call(self, call_id: str, name: str, arguments: dict[str, Any]) -> None: ...
    def tool_chunk(self, call_id: str, content: str) -> None: ...
    def tool_result(self, call_id: str, result: str, images: Sequence[ToolImage] = ()) -> None: ...


@dataclass(frozen=True)
class ToolSelection:
    """What is wanted (`*`, names, `server__*`), what is allowed (None: all), and whose request it is.

    `strict` is off for wishes nobody wrote into this request: a name that is gone is then simply not offered.
    """

    wanted: tuple[str, ...]
    allowed: tuple[str, ...] | None = None
    scope: str = ""
    observer: ToolObserver | None = None
    strict: bool = True


def select(catalogue: Catalogue, selection: ToolSelection) -> list[ToolSpec]:
    """The tools to offer, sorted by name; raises BadRequest for an unknown name, Forbidden for a forbidden one."""
    chosen: dict[str, ToolSpec] = {}
    tools = catalogue.all()
    for wish in selection.wanted:
        for tool in _matching(wish, tools, catalogue, selection):
            chosen[tool.name] = tool
    return [chosen[name] for name in sorted(chosen)]


def _matching(
    wish: str, tools: Sequence[ToolSpec], catalogue: Catalogue, selection: ToolSelection
) -> Sequence[ToolSpec]:
    named = [tool for tool in tools if permits((wish,), tool.name)] or _by_short_name(wish, tools)
    allowed = [tool for tool in named if permits(selection.allowed, tool.name)]
    if allowed or wish == "*" or not selection.strict:
        return allowed
    if named:
        raise Forbidden(f"this key may not use the tool {wish!r}", param=PARAM, code="tool_forbidden")
    server = wish.split("__")[0]
    if "*" in wish and server in catalogue.server_names():
        return []  # a server that offers nothing right now
    if not catalogue.has_workers:
        raise Unavailable(f"no tool worker is there right now, so {wish!r} cannot be run", code="no_tool_worker")
    if server in catalogue.unreached():
        raise Unavailable(f"the server of the tool {wish!r} has not been reached yet", code="tool_server_unreached")
    raise BadRequest(f"there is no tool {wish!r}", param=PARAM, code="unknown_tool")


def _by_short_name(wish: str, tools: Sequence[ToolSpec]) -> list[ToolSpec]:
    """A tool asked for without its server: ours goes first, then a server's if it is the only one."""
    named = [tool for tool in tools if tool.name == f"{tool.server}__{wish}"]
    builtin = [tool for tool in named if tool.source == "builtin"]
    return builtin or (named if len(named) == 1 else [])
