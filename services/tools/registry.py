"""Every tool this worker can run, by name, whichever source it comes from."""

from collections.abc import Callable, Sequence
from typing import Any

import structlog

from services.tools.errors import ArgumentsInvalid, ToolFailed, ToolUnknown
from services.tools.providers.base import Context, Outcome, Provider
from shared.messages.tools import ServerStatus, ToolSpec
from shared.tool_rules import SchemaUnusable, argument_faults

log = structlog.get_logger(__name__)


class Registry:
    """The sources side by side. Earlier ones win when two offer the same name."""

    def __init__(self, providers: Sequence[Provider]) -> None:
        self.providers = tuple(providers)
        self.revision = 1
        self._changed: list[Callable[[], None]] = []

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Call back when tools or states of servers change."""
        self._changed.append(callback)

    def changed(self) -> None:
        """Sources say this when what they offer is no longer what it was."""
        self.revision += 1
        for callback in self._changed:
            callback()

    def tools(self) -> list[ToolSpec]:
        """All tools, sorted by name so that a prompt's prefix stays the same."""
        found: dict[str, ToolSpec] = {}
        for provider in self.providers:
            for tool in provider.tools():
                found.setdefault(tool.name, tool)
        return [found[name] for name in sorted(found)]

    def servers(self) -> list[ServerStatus]:
        """How every source is doing."""
        return [server for provider in self.providers for server in provider.servers()]

    def find(self, name: str) -> tuple[Provider, ToolSpec]:
        """The tool and who runs it; raises ToolUnknown."""
        for provider in self.providers:
            for tool in provider.tools():
                if tool.name == name:
                    return provider, tool
        raise ToolUnknown(f"no tool {name} on this worker")

    async def run(self, name: str, arguments: dict[str, Any], context: Context) -> Outcome:
        """Check the arguments and run the tool; raises ToolFailed."""
        provider, tool = self.find(name)
        try:
            faults = argument_faults(tool.input_schema, arguments, fingerprint=tool.fingerprint)
        except SchemaUnusable as error:
            raise ToolFailed(f"the tool's schema cannot be used: {error}", code="schema_unusable") from error
        if faults:
            raise ArgumentsInvalid("; ".join(faults))
        return await provider.run(tool, arguments, context)

    async def settled(self) -> None:
        """Return when every source had its first attempt."""
        for provider in self.providers:
            await provider.settled()
