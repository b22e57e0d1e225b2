"""The MCP servers of the configuration, each with an owner. The SDK is loaded when the first server is configured."""

import asyncio
import importlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from services.tools.errors import ToolUnknown
from services.tools.providers.base import Context, Outcome
from shared.config import LiveConfig
from shared.config.schema import Config
from shared.config.tools import McpServer
from shared.messages.tools import ServerStatus, ToolSpec
from shared.tasks import cancel

SETTLE_SECONDS = 30.0  # what a command may take on a busy machine


class Owner(Protocol):
    """What is used of a server's owner."""

    settings: McpServer
    specs: list[ToolSpec]
    first_attempt: asyncio.Event

    def status(self) -> ServerStatus: ...
    def stop(self) -> None: ...
    async def hold(self, changed: Callable[[], None]) -> None: ...
    async def run(self, tool: ToolSpec, arguments: dict[str, Any], context: Context) -> Outcome: ...


class McpProvider:
    """Starts and stops owners as the configuration says."""

    def __init__(self, config: LiveConfig, environment: Mapping[str, str]) -> None:
        self._config = config
        self._environment = environment
        self._owners: dict[str, Owner] = {}
        self._holding: dict[str, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._begun = asyncio.Event()
        config.subscribe(self._reconsider)

    def tools(self) -> list[ToolSpec]:
        """What all servers offer."""
        return [spec for owner in self._owners.values() for spec in owner.specs]

    def servers(self) -> list[ServerStatus]:
        """How each is doing; one that nobody holds yet is about to be started."""
        waiting = [name for name in self._config.current.tools.mcp if name not in self._owners]
        starting = [ServerStatus(name=name, kind="mcp", state="starting") for name in waiting]
        return [*(owner.status() for owner in self._owners.values()), *starting]

    async def run(self, tool: ToolSpec, arguments: dict[str, Any], context: Context) -> Outcome:
        """Call a tool of one of them."""
        owner = self._owners.get(tool.server)
        if owner is None:
            raise ToolUnknown(f"no server {tool.server}")
        return await owner.run(tool, arguments, context)

    async def serve(self, changed: Callable[[], None]) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as holding:
            try:
                while True:
                    self._wake.clear()
                    await self._arrange(holding, changed)
                    self._begun.set()
                    await self._wake.wait()
            finally:
                for owner in self._owners.values():
                    owner.stop()

    async def settled(self) -> None:
        """When each server was reached or not, or took too long."""
        try:
            async with asyncio.timeout(SETTLE_SECONDS):
                await self._begun.wait()
                for owner in list(self._owners.values()):
                    await owner.first_attempt.wait()
        except TimeoutError:
            return

    def _reconsider(self, config: Config) -> None:
        del config
        self._wake.set()

    async def _arrange(self, holding: asyncio.TaskGroup, changed: Callable[[], None]) -> None:
        wanted = self._config.current.tools.mcp
        for name in [name for name, owner in self._owners.items() if wanted.get(name) != owner.settings]:
            self._owners.pop(name).stop()
            await cancel(self._holding.pop(name))
            changed()
        for name, settings in wanted.items():
            if name not in self._owners:
                owner = await self._made(name, settings)
                self._owners[name] = owner
                self._holding[name] = holding.create_task(owner.hold(changed), name=f"mcp-{name}")
                changed()

    async def _made(self, name: str, settings: McpServer) -> Owner:
        # The SDK takes a second to load, and other answers may be streaming meanwhile.
        module = await asyncio.to_thread(importlib.import_module, "services.tools.providers.mcp_owner")
        owner: Owner = module.ServerOwner(name, settings, self._environment)
        return owner
