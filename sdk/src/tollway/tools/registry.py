"""The tools an agent offers, by name."""

from collections.abc import Callable, Iterator
from typing import Any

from tollway.errors import ToolError
from tollway.tools.define import Tool


class ToolRegistry:
    """An ordered set of tools; a name belongs to one tool only."""

    def __init__(self, *tools: Tool | Callable[..., Any]) -> None:
        self._tools: dict[str, Tool] = {}
        for each in tools:
            self.register(each)

    def register(self, made: Tool | Callable[..., Any]) -> Tool:
        """Adds a tool (or a plain function, which becomes one); also usable as a decorator."""
        added = made if isinstance(made, Tool) else Tool(made)
        if self._tools.get(added.name, added) is not added:
            msg = f"there is already a tool named {added.name!r}"
            raise ToolError(msg)
        self._tools[added.name] = added
        return added

    def unregister(self, name: str) -> None:
        """Takes a tool out; an unknown name is no fault."""
        self._tools.pop(name, None)

    def get(self, name: str) -> Tool | None:
        return self._tools.get(name)

    def get_all_tools(self) -> list[dict[str, Any]]:
        """Every tool as a chat request offers it."""
        return [each.schema for each in self._tools.values()]

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._tools.values())

    def __len__(self) -> int:
        return len(self._tools)

    def __contains__(self, name: object) -> bool:
        return name in self._tools
