"""How a worker tells the caller what happens: numbered events, small pieces of output gathered into few messages."""

import asyncio

from msgspec import structs

from shared import clock
from shared.bus import Bus, Message
from shared.messages.envelope import encode
from shared.messages.tools import RunTool, ToolEvent
from shared.tasks import Tasks

GATHER_SECONDS = 0.025
GATHER_BYTES = 8192


class Speaker:
    """The voice of one call. Events leave in order; the last one leaves after every piece before it."""

    def __init__(self, bus: Bus, tasks: Tasks, run: RunTool, *, reply_to: str, attempt: int, worker: str) -> None:
        self.run = run
        self.pieces_bytes = 0
        self._bus = bus
        self._tasks = tasks
        self._reply_to = reply_to
        self._attempt = attempt
        self._worker = worker
        self._seq = 0
        self._pieces: list[str] = []
        self._gathered = 0
        self._flushing: asyncio.Task[None] | None = None
        self._full = asyncio.Event()

    async def started(self) -> None:
        """The tool begins to run now."""
        await self._post("started")

    def chunk(self, text: str) -> None:
        """A piece of output; what exceeds the call's cap is not passed on."""
        size = len(text.encode("utf-8", "replace"))
        if not text or self.pieces_bytes + size > self.run.max_bytes:
            return
        self.pieces_bytes += size
        self._pieces.append(text)
        self._gathered += size
        if self._gathered >= GATHER_BYTES:
            self._full.set()
        if self._flushing is None or self._flushing.done():
            self._flushing = self._tasks.start(self._flush_soon(), name=f"tool-chunks-{self.run.call_id}")

    async def finish(self, event: ToolEvent) -> None:
        """The last event: kind, content and flags are the given one's."""
        self._full.set()
        if self._flushing is not None:
            await self._flushing
        await self._flush()
        if not self._bus.connected:  # an outcome is worth waiting for: the caller's address outlives a reconnect
            await self._bus.wait_connected(max(0.0, self.run.deadline - clock.now()))
        await self._send(event)

    def event(self, kind: str, content: str = "", *, code: str | None = None) -> ToolEvent:
        """An event of this call; its number is given when it leaves."""
        return ToolEvent(
            call_id=self.run.call_id,
            attempt=self._attempt,
            seq=0,
            kind=kind,
            worker=self._worker,
            content=content,
            code=code,
        )

    async def _flush_soon(self) -> None:
        while self._pieces:
            try:
                async with asyncio.timeout(GATHER_SECONDS):
                    await self._full.wait()
            except TimeoutError:
                pass
            await self._flush()

    async def _flush(self) -> None:
        text, self._pieces, self._gathered = "".join(self._pieces), [], 0
        self._full.clear()
        if text:
            await self._post("chunk", text)

    async def _post(self, kind: str, content: str = "") -> None:
        await self._send(self.event(kind, content))

    async def _send(self, event: ToolEvent) -> None:
        if not self._reply_to:
            return
        self._seq += 1
        numbered = structs.replace(event, seq=self._seq)
        await self._bus.post(self._reply_to, Message(encode(numbered), correlation_id=event.call_id))
