"""A streamed answer told as chat events: pieces of text, what the tools do, and exactly one end."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import structlog

from shared.errors import Internal, TollwayError
from shared.messages.gateway import Answer, Ending
from shared.tasks import Tasks, cancel
from shared.wire.json_text import NotJsonError, decode_object, encode
from shared.wire.sse import DONE, SseReader
from shared.wire.tool_call import ToolImage
from shared.wire.usage import TokenUsage

log = structlog.get_logger(__name__)

MOST_WAITING = 32
CANCELLED = "cancelled"
BROKEN_OFF = "the answer broke off before its end"


class ChatEvents:
    """Numbers the events of one answer, and hears of the tools."""

    def __init__(self) -> None:
        self.waiting: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._number = 0
        self._open_calls: list[str] = []

    def encoded(self, kind: str, data: dict[str, Any]) -> bytes:
        """One event."""
        self._number += 1
        return b"id: %d\ndata: %b\n\n" % (self._number, encode({"type": kind, "data": data}))

    def put(self, kind: str, data: dict[str, Any]) -> None:
        """Have an event sent."""
        self.waiting.put_nowait(self.encoded(kind, data))

    def tool_call(self, call_id: str, name: str, arguments: dict[str, Any]) -> None:
        """The model calls a tool."""
        self._open_calls.append(call_id)
        self.put("tool_call", {"tool_call_id": call_id, "tool_name": name, "arguments": arguments})

    def tool_chunk(self, call_id: str, content: str) -> None:
        """A tool says a piece of its output."""
        self.put("tool_stream_chunk", {"tool_call_id": call_id, "content": content})

    def tool_result(self, call_id: str, result: str, images: Sequence[ToolImage] = ()) -> None:
        """A tool has answered."""
        if call_id in self._open_calls:
            self._open_calls.remove(call_id)
        told = {"tool_call_id": call_id, "result": result}
        self.put("tool_result", {**told, "images": images} if images else told)

    def end(self, kind: str, data: dict[str, Any]) -> None:
        """The last event; calls that were cut get their result first, so that no client shows them as running."""
        for call_id in list(self._open_calls):
            self.tool_result(call_id, CANCELLED)
        self.put(kind, data)
        self.waiting.put_nowait(None)


class ChatAnswer:
    """An answer in OpenAI's dialect as chat events. A task pulls it, so that `stop` can end it at any moment."""

    def __init__(self, ask: Callable[[], Any], events: ChatEvents, tasks: Tasks) -> None:
        self.status = 200
        self.headers = {"content-type": "text/event-stream; charset=utf-8"}
        self.inner: Answer | None = None
        self.refused: Answer | None = None
        self.failure: TollwayError | None = None
        self.opened = asyncio.Event()
        self._ask = ask
        self._events = events
        self._text: list[str] = []
        self._finish: str | None = None
        self._usage: TokenUsage | None = None
        self._extra: dict[str, Any] = {}
        self._over = False
        self._stopped = False
        self._room = asyncio.Event()
        self._task = tasks.start(self._run(), name="chat-answer")

    @property
    def ending(self) -> Ending | None:
        """The inner answer's."""
        return self.inner.ending if self.inner is not None else None

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        """The events."""
        return self._each()

    async def stop(self) -> None:
        """The user has heard enough: model and tools stop, and the answer is complete as far as it came."""
        if self._over or self._stopped:
            return
        self._stopped = True
        await self._cut("aborted")
        self._complete("aborted")
        self.opened.set()

    async def close(self, status: str = "aborted") -> None:
        """Nobody listens any more."""
        self._over = True
        await self._cut(status)

    async def _cut(self, status: str) -> None:
        await cancel(self._task)
        if self.inner is not None:
            await self.inner.close(status)

    async def _each(self) -> AsyncIterator[bytes]:
        while (event := await self._events.waiting.get()) is not None:
            self._room.set()
            yield event

    async def _run(self) -> None:
        """Ask, then pass on what comes. What is refused before it begins is left for an HTTP status."""
        try:
            answer: Answer = await self._ask()
            self.inner = answer
            if answer.status != 200:
                self.refused, self._over = answer, True
                self.opened.set()
                return
            self.headers = {**answer.headers, **self.headers}
            self.opened.set()
            await self._pass_on(answer)
        except TollwayError as error:
            self._failed(error)
        except Exception as error:  # the edge of a task: the client must get an end, the log the reason
            log.error("chat_failed", exc_info=error)
            self._failed(Internal())

    def _failed(self, error: TollwayError) -> None:
        """Before the answer began a failure is left for an HTTP status, after that it is the last event."""
        if self.opened.is_set():
            self._fail(error.message, error.error_code)
        else:
            self.failure, self._over = error, True
            self.opened.set()

    async def _pass_on(self, answer: Answer) -> None:
        reader = SseReader()
        async for chunk in answer.chunks:
            for event in reader.feed(chunk):
                self._take(event.data)
            while self._events.waiting.qsize() > MOST_WAITING:
                self._room.clear()
                await self._room.wait()
        if self._over:
            return
        if self._finish is None:
            self._fail(BROKEN_OFF, "stream_broken")
        else:
            self._complete(self._finish)

    def _take(self, data: bytes) -> None:
        if data == DONE or self._over:
            return
        try:
            chunk = decode_object(data)
        except NotJsonError:
            return
        if chunk.get("error"):
            error = chunk["error"] if isinstance(chunk["error"], dict) else {"message": str(chunk["error"])}
            self._fail(str(error.get("message")), str(error.get("code") or error.get("type") or "error"))
            return
        if isinstance(usage := chunk.get("usage"), dict):
            self._usage = TokenUsage.from_openai(usage)
        if "tollway" in chunk:
            self._extra["tollway"] = chunk["tollway"]
        for choice in (chunk.get("choices") or ())[:1]:
            self._finish = choice.get("finish_reason") or self._finish
            content = (choice.get("delta") or {}).get("content")
            if isinstance(content, str) and content:
                self._text.append(content)
                self._events.put("chunk", {"content": content})

    def _complete(self, finish: str) -> None:
        told = self.ending.usage if self.ending is not None and self.ending.usage is not None else self._usage
        usage = told or TokenUsage()
        data = {
            "message": {"role": "assistant", "content": "".join(self._text)},
            "usage": {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens},
            "finish_reason": finish,
            **self._extra,
        }
        self._end("complete", data)

    def _fail(self, message: str, code: str) -> None:
        self._end("error", {"error": message, "code": code})

    def _end(self, kind: str, data: dict[str, Any]) -> None:
        if not self._over:
            self._over = True
            self._events.end(kind, data)
