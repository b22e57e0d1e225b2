"""The loop's answer as a stream: a task runs the rounds, and says no more than the client's pulls take."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import structlog

from services.gateway import refusal
from services.gateway.answers import whole_body
from services.gateway.tool_loop.calls import Notice
from services.gateway.tool_loop.dialect import Turn
from services.gateway.tool_loop.rounds import Broken, End, Rounds
from services.gateway.tool_loop.stream import weaver
from shared.errors import Internal, TollwayError, Unavailable
from shared.messages.gateway import Answer, Ending
from shared.tasks import Tasks, cancel
from shared.wire.sse import SseReader

log = structlog.get_logger(__name__)

_BROKEN_OFF = "the answer broke off before its end"


class StreamedAnswer:
    """One stream of all rounds. Closing it stops the model and the tools, and waits until that is booked."""

    def __init__(self, rounds: Rounds, first: Answer, tasks: Tasks) -> None:
        self.status = 200
        self.headers: Mapping[str, str] = first.headers
        self.ending: Ending | None = None
        self._rounds = rounds
        self._first = first
        self._weaver = weaver(rounds.call.dialect, rounds.is_ours, include_usage=rounds.call.include_usage)
        self._said: asyncio.Queue[bytes | Notice | None] = asyncio.Queue(1)
        self._close_status = "aborted"
        self._taking = False
        self._task = tasks.start(self._run(), name=f"tool-loop-{rounds.call.request_id}")

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        """Whole events; the observer hears of the tools in between."""
        return self._each()

    async def close(self, status: str = "aborted") -> None:
        """Stop now, or do nothing when it is over."""
        if not self._task.done():
            self._close_status = status
            await cancel(self._task)
        while not self._said.empty():
            self._said.get_nowait()
        self._said.put_nowait(None)  # whoever still pulls is let go

    async def _each(self) -> AsyncIterator[bytes]:
        while (said := await self._said.get()) is not None:
            if isinstance(said, bytes):
                yield said
            elif self._rounds.observer is not None:
                said(self._rounds.observer)

    async def _run(self) -> None:
        try:
            end = await self._rounds.run(self._first, self._take, self._tell)
            await self._say(await self._last_words(end))
        except asyncio.CancelledError:
            await self._rounds.settle(self._close_status)
            partial = self._weaver.turn().message if self._taking else None
            self.ending = self._rounds.ending(self._close_status, partial=partial)
            raise
        except TollwayError as error:
            await self._fail(error)
        except Exception as error:
            log.error("tool_loop_failed", request_id=self._rounds.call.request_id, exc_info=error)
            await self._fail(Internal())
        await self._said.put(None)

    async def _take(self, answer: Answer) -> Turn:
        """Pass a turn on while it comes."""
        self._weaver.begin()
        self._taking = True
        reader = SseReader()
        async for chunk in answer.chunks:
            await self._say(b"".join(self._weaver.feed(event) for event in reader.feed(chunk)))
        await self._say(b"".join(self._weaver.feed(event) for event in reader.finish()))
        self._taking = False
        turn = self._weaver.turn()
        if turn.finish is None and not turn.failed:
            raise Unavailable(_BROKEN_OFF)
        return turn

    async def _last_words(self, end: End | Broken) -> bytes:
        call = self._rounds.call
        if isinstance(end, End):
            self.ending = self._rounds.ending("ok")
            return self._weaver.end(end.finish, end.limit, self._rounds.usage_beside())
        if end.answer is None:  # the error event has been passed on already
            self.ending = self._rounds.ending("error", error=_BROKEN_OFF)
            return b""
        body = await whole_body(end.answer)
        await self._rounds.settle()
        self.ending = self._rounds.ending("error", error=f"status {end.answer.status}")
        return refusal.event_from(body, end.answer.status, call.dialect, call.request_id)

    async def _fail(self, error: TollwayError) -> None:
        call = self._rounds.call
        await self._rounds.settle("error")
        self.ending = self._rounds.ending("error", error=error.message)
        await self._say(refusal.event_of(error, call.dialect, call.request_id))

    async def _say(self, chunk: bytes) -> None:
        if chunk:
            await self._said.put(chunk)

    async def _tell(self, notice: Notice) -> None:
        if self._rounds.observer is not None:
            await self._said.put(notice)
