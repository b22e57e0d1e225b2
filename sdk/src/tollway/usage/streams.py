"""Stand-ins for what tracked functions return in pieces; they book the call when the original ends."""

import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from types import TracebackType
from typing import Any

from tollway.usage.call import TrackedCall
from tollway.usage.tokens import field

log = logging.getLogger("tollway.usage")


class TrackedGenerator(Generator[Any, Any, Any]):
    """A generator whose items are observed; `send`, `throw` and its return value pass through."""

    def __init__(self, source: Generator[Any, Any, Any], call: TrackedCall) -> None:
        self._source = source
        self._call = call

    def send(self, value: Any) -> Any:
        with self._call.running():
            item = self._source.send(value)
        self._call.observe_event(item)
        return item

    def throw(self, *raised: Any) -> Any:
        with self._call.running():
            item = self._source.throw(*raised)
        self._call.observe_event(item)
        return item

    def close(self) -> None:
        self._source.close()


class _StandIn:
    """Passes everything it does not know to the original, its class included."""

    def __init__(self, original: Any, call: TrackedCall) -> None:
        self._original = original
        self._call = call

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)

    @property  # type: ignore[misc]  # isinstance() shall say what it says of the original
    def __class__(self) -> type:
        return type(self._original)

    def _end(self, error: BaseException | None = None, *, left: bool = False) -> None:
        # some streams know their whole, also when they were read past this stand-in
        self._call.observe(self._original)
        self._call.finish(error, left=left)

    def _leave(self, error: BaseException | None = None) -> None:
        self._end(error, left=True)

    def __del__(self) -> None:
        # a stream that was dropped half-read is booked too
        self._leave()


class TrackedStream(_StandIn):
    """A stream object of an SDK (or any iterator)."""

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        try:
            with self._call.running():
                item = next(self._original)
        except StopIteration:
            self._end()
            raise
        except BaseException as error:
            self._call.finish(error)
            raise
        self._call.observe_event(item)
        return item

    def __enter__(self) -> Any:
        self._original.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Any:
        self._leave(error)
        return self._original.__exit__(kind, error, trace)

    def close(self) -> Any:
        self._leave()
        return self._original.close()


class TrackedAsyncStream(_StandIn):
    """An asynchronous stream object."""

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        try:
            with self._call.running():
                item = await anext(self._original)
        except StopAsyncIteration:
            self._end()
            raise
        except BaseException as error:
            self._call.finish(error)
            raise
        self._call.observe_event(item)
        return item

    async def __aenter__(self) -> Any:
        await self._original.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Any:
        self._leave(error)
        return await self._original.__aexit__(kind, error, trace)

    async def close(self) -> Any:
        self._leave()
        return await self._original.close()

    async def aclose(self) -> Any:
        self._leave()
        return await self._original.aclose()


class TrackedManager(_StandIn):
    """The context managers of the SDKs' streaming helpers."""

    _entered = False

    def __del__(self) -> None:
        # one that was never entered has asked nobody
        if self._entered:
            self._call.finish(left=True)

    def __enter__(self) -> Any:
        try:
            helper = self._original.__enter__()
        except BaseException as error:
            self._call.finish(error)
            raise
        return self._watched(helper, _observed)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Any:
        self._call.finish(error, left=True)
        return self._original.__exit__(kind, error, trace)

    async def __aenter__(self) -> Any:
        try:
            helper = await self._original.__aenter__()
        except BaseException as error:
            self._call.finish(error)
            raise
        return self._watched(helper, _observed_async)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Any:
        self._call.finish(error, left=True)
        return await self._original.__aexit__(kind, error, trace)

    def _watched(self, helper: Any, observed: Callable[[Any, TrackedCall], Any]) -> Any:
        self._entered = True
        # what all of a helper's ways to be read go through, in both official SDKs
        events = getattr(helper, "_iterator", None)
        if events is None:
            log.debug("the usage of a %s cannot be read", type(helper).__name__)
        else:
            vars(helper)["_iterator"] = observed(events, self._call)
        return helper


def _observed(events: Iterator[Any], call: TrackedCall) -> Iterator[Any]:
    try:
        for event in events:
            call.observe_event(event)
            yield event
    except Exception as error:
        call.finish(error)
        raise
    call.finish()


async def _observed_async(events: AsyncIterator[Any], call: TrackedCall) -> AsyncIterator[Any]:
    try:
        async for event in events:
            call.observe_event(event)
            yield event
    except Exception as error:
        call.finish(error)
        raise
    call.finish()


def is_whole(result: Any) -> bool:
    """Whether an answer already tells its usage, although it could be iterated."""
    with contextlib.suppress(Exception):
        return field(result, "usage") is not None
    return False


def stand_in(result: Any, call: TrackedCall) -> Any:
    """A stand-in when the result comes in pieces; else the result itself, observed and booked."""
    kind = type(result)
    if kind.__name__.endswith("StreamManager") and (hasattr(kind, "__enter__") or hasattr(kind, "__aenter__")):
        return TrackedManager(result, call)
    whole = is_whole(result)
    if hasattr(kind, "__anext__") and not whole:
        return TrackedAsyncStream(result, call)
    if hasattr(kind, "__next__") and not whole:
        return TrackedStream(result, call)
    call.observe(result)
    call.finish()
    return result
