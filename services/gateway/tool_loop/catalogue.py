"""Which tools there are right now, as the workers announce them; a worker that falls silent is forgotten."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared import clock
from shared.messages.tools import EXPIRY_SECONDS, Announce, ServerStatus, ToolSpec
from shared.tool_rules import permits

_STATES = ("ready", "degraded", "starting", "down")


@dataclass
class _Worker:
    revision: int
    heard: float
    servers: list[ServerStatus] = field(default_factory=list)
    tools: dict[str, ToolSpec] = field(default_factory=dict)


class Catalogue:
    """The announcements that count. `clock_of` is a monotonic clock."""

    def __init__(self, clock_of: Callable[[], float] = clock.monotonic) -> None:
        self._clock = clock_of
        self._workers: dict[str, _Worker] = {}

    def hear(self, announce: Announce) -> bool:
        """Take up an announcement; False when the worker must be asked for all it offers."""
        if announce.leaving:
            self._workers.pop(announce.worker, None)
            return True
        worker = self._workers.get(announce.worker)
        if announce.tools is not None:
            tools = {tool.name: tool for tool in announce.tools}
            self._workers[announce.worker] = _Worker(announce.revision, self._clock(), announce.servers, tools)
            return True
        if worker is None:
            return False
        worker.heard, worker.servers = self._clock(), announce.servers
        return worker.revision == announce.revision

    def forget_silent(self) -> list[str]:
        """Drop the workers that have not been heard of for too long; returns who they were."""
        oldest = self._clock() - EXPIRY_SECONDS
        gone = [name for name, worker in self._workers.items() if worker.heard < oldest]
        for name in gone:
            del self._workers[name]
        return gone

    def excuse_silence(self) -> None:
        """Nobody can be heard right now, so nobody's silence means anything."""
        for worker in self._workers.values():
            worker.heard = self._clock()

    @property
    def has_workers(self) -> bool:
        """Whether anybody is there to run tools."""
        return bool(self._workers)

    def is_alive(self, worker: str) -> bool:
        """Whether the worker has been heard of lately."""
        return worker in self._workers

    def find(self, name: str) -> ToolSpec | None:
        """The tool of this name."""
        for worker in self._workers.values():
            if name in worker.tools:
                return worker.tools[name]
        return None

    def all(self) -> list[ToolSpec]:
        """Every tool, sorted by name: the order in which models are offered them never changes by itself."""
        found: dict[str, ToolSpec] = {}
        for worker in self._workers.values():
            found |= worker.tools
        return [found[name] for name in sorted(found)]

    def server_names(self) -> set[str]:
        """Servers that workers know, whether they can be reached or not."""
        return {status.name for worker in self._workers.values() for status in worker.servers}

    def unreached(self) -> set[str]:
        """Servers that are configured, but of which no tool is known: nobody can say what they would offer."""
        with_tools = {tool.server for tool in self.all()}
        return {status.name for status in self._statuses() if status.state != "ready"} - with_tools

    def tools_body(self, allowed: Sequence[str] | None) -> list[dict[str, Any]]:
        """What `GET /api/tools` tells a key with these patterns."""
        return [
            {
                "name": tool.name,
                "description": tool.description,
                "input_schema": tool.input_schema,
                "source": tool.source,
                "supports_streaming": tool.supports_streaming,
                "server": tool.server,
                "idempotent": tool.idempotent,
            }
            for tool in self.all()
            if permits(allowed, tool.name)
        ]

    def servers_body(self, allowed: Sequence[str] | None) -> list[dict[str, Any]]:
        """What `GET /api/servers` tells a key with these patterns: the best of what the workers say of each."""
        best: dict[str, ServerStatus] = {}
        for status in self._statuses():
            known = best.get(status.name)
            if known is None or _STATES.index(status.state) < _STATES.index(known.state):
                best[status.name] = status
        tools = self.all()
        return [
            {
                "name": status.name,
                "state": status.state,
                "version": status.version,
                "tool_count": sum(tool.server == status.name and permits(allowed, tool.name) for tool in tools),
                "last_error": status.last_error,
                "kind": status.kind,
                "restarts": status.restarts,
            }
            for _, status in sorted(best.items())
            if self._may_see(status.name, tools, allowed)
        ]

    def _statuses(self) -> Iterator[ServerStatus]:
        for worker in self._workers.values():
            yield from worker.servers

    def _may_see(self, server: str, tools: Sequence[ToolSpec], allowed: Sequence[str] | None) -> bool:
        if permits(allowed, f"{server}__"):
            return True
        return any(tool.server == server and permits(allowed, tool.name) for tool in tools)
