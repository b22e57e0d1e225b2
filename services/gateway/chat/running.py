"""Which chat answers run, so that they can be stopped: here at once, in another gateway process by a broadcast."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import msgspec

from shared.bus import Bus, Message
from shared.cache import Cache
from shared.errors import BusUnavailable, CacheUnavailable
from shared.tasks import Tasks

TOPIC = "gateway.chat_aborts"
MARK_SECONDS = 900.0
ELSEWHERE_SECONDS = 1.0
LOOK_SECONDS = 0.05

Stop = Callable[[], Awaitable[None]]


class AbortChat(msgspec.Struct, frozen=True):
    """Stop the answers that run under this name."""

    name: str


class RunningChats:
    """The running answers by scope and session, and by scope and request."""

    def __init__(self, bus: Bus, cache: Cache, tasks: Tasks) -> None:
        self._bus = bus
        self._cache = cache
        self._tasks = tasks
        self._stops: dict[str, list[Stop]] = {}

    async def run(self) -> None:
        """Hear what other processes were asked to stop, until cancelled."""
        async with self._bus.listen(TOPIC) as broadcasts:
            async for heard in broadcasts:
                with suppress(msgspec.ValidationError):
                    self._stop_here(msgspec.json.decode(heard.message.body, type=AbortChat).name)

    @asynccontextmanager
    async def hold(self, scope: str, session_id: str | None, request_id: str, stop: Stop) -> AsyncIterator[None]:
        """Let the answer be stopped while the context is entered."""
        names = [_name(scope, "request", request_id)]
        if session_id:
            names.append(_name(scope, "session", session_id))
        for name in names:
            self._stops.setdefault(name, []).append(stop)
        marking = self._tasks.start(self._mark(names), name="mark-chat")
        try:
            yield
        finally:
            for name in names:
                self._stops[name].remove(stop)
                if not self._stops[name]:
                    del self._stops[name]
            self._tasks.start(self._unmark(marking, names), name="unmark-chat")

    async def abort(self, scope: str, session_id: str | None, request_id: str | None) -> bool:
        """Stop what runs; False when nothing of this caller does."""
        name = _name(scope, "session", session_id) if session_id else _name(scope, "request", request_id or "")
        return self._stop_here(name) or await self._stop_elsewhere(name)

    def _stop_here(self, name: str) -> bool:
        stops = list(self._stops.get(name, ()))
        for stop in stops:
            self._tasks.start(_called(stop), name="stop-chat")
        return bool(stops)

    async def _stop_elsewhere(self, name: str) -> bool:
        """Another process marked it as running: it is stopped when the mark is gone."""
        try:
            if await self._cache.get(name) is None:
                return False
            await self._bus.broadcast(TOPIC, Message(msgspec.json.encode(AbortChat(name)), persistent=False))
            async with asyncio.timeout(ELSEWHERE_SECONDS):
                while await self._cache.get(name) is not None:  # noqa: ASYNC110 - another process clears the mark
                    await asyncio.sleep(LOOK_SECONDS)
        except (CacheUnavailable, BusUnavailable, TimeoutError):
            return False
        return True

    async def _mark(self, names: list[str]) -> None:
        with suppress(CacheUnavailable):
            for name in names:
                await self._cache.set(name, b"1", ttl_seconds=MARK_SECONDS)

    async def _unmark(self, marking: "asyncio.Task[None]", names: list[str]) -> None:
        await asyncio.wait({marking})
        gone = [name for name in names if name not in self._stops]
        with suppress(CacheUnavailable):
            if gone:
                await self._cache.delete(*gone)


def _name(scope: str, kind: str, identifier: str) -> str:
    return f"tollway:chat:{scope}:{kind}:{identifier}"


async def _called(stop: Stop) -> None:
    await stop()
