"""MCP over the standard streams of a child process: jailed, with a bound on every line and on what it says on stderr.

The SDK's own transport buffers lines without end and cannot jail its child. Imported only when a server is configured.
"""

import asyncio
import os
import re
import signal
import sys
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import structlog
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

log = structlog.get_logger(__name__)

MAX_LINE_BYTES = 8 << 20
MOST_PASSED_BYTES = 512 << 20
EDGE_BYTES = 256
STOP_SECONDS = 2.0
_ID = rb'"id"\s*:\s*(\d+|"[\w-]{1,100}")'
_ID_FIRST = re.compile(rb'\s*\{\s*"jsonrpc"\s*:\s*"2\.0"\s*,\s*' + _ID)
_ID_LAST = re.compile(_ID + rb"\s*\}\s*$")
_JAIL = Path(__file__).with_name("jail.py")


class Child:
    """A running server process and the last it said on stderr."""

    def __init__(self, process: asyncio.subprocess.Process, said: deque[str]) -> None:
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise RuntimeError("the server was started without pipes")
        self.process = process
        self.stdin, self.stdout, self.stderr = process.stdin, process.stdout, process.stderr
        self.said = said

    async def keep_errors(self) -> None:
        """Read stderr for ever, so that a chatty server never blocks; keep the end of it."""
        while data := await self.stderr.read(65_536):
            for line in data.decode("utf-8", "replace").splitlines():
                self.said.append(line[:500])

    async def stop(self) -> None:
        """Close its input, then ask, then kill: the whole process group."""
        self.stdin.close()
        for number in (signal.SIGTERM, signal.SIGKILL):
            if await self._gone():
                break
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
        await self._gone()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)  # grandchildren that outlived it

    async def _gone(self) -> bool:
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self.process.wait()
        except TimeoutError:
            return False
        return True


@asynccontextmanager
async def stdio_transport(
    command: Sequence[str], environment: Mapping[str, str], cwd: str | None, last_words: deque[str]
) -> AsyncGenerator[tuple[Any, Any]]:
    """Start the server and speak JSON lines with it; `last_words` receives the end of its stderr."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-S",
        str(_JAIL),
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(environment),
        cwd=cwd,
        start_new_session=True,
        limit=MAX_LINE_BYTES,
    )
    child = Child(process, last_words)
    incoming, read_stream = anyio.create_memory_object_stream[SessionMessage | Exception](16)
    write_stream, outgoing = anyio.create_memory_object_stream[SessionMessage](16)
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(_read, child, incoming)
            group.start_soon(_write, child, outgoing, incoming)
            group.start_soon(child.keep_errors)
            try:
                yield read_stream, write_stream
            finally:
                with anyio.CancelScope(shield=True):
                    await child.stop()
                group.cancel_scope.cancel()
    finally:
        for stream in (incoming, read_stream, write_stream, outgoing):
            stream.close()


async def _read(child: Child, incoming: Any) -> None:
    """Hand over each line as a message; the stream ends with the process."""
    async with incoming:
        while True:
            try:
                line = await _line(child.stdout)
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            try:
                message = jsonrpc_message_adapter.validate_json(line, by_name=False)
            except ValueError:
                if line.strip():  # servers print greetings; a client has no use for them
                    log.debug("mcp_line_ignored", bytes=len(line))
                continue
            with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
                await incoming.send(SessionMessage(message))


async def _line(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readuntil(b"\n")
    except asyncio.LimitOverrunError:
        return too_long_for(*await _passed_over(stream))


async def _passed_over(stream: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Read to the end of a line that is too long to be kept; its first and last bytes."""
    head = last = await stream.read(EDGE_BYTES)
    passed = 0
    while not last.endswith(b"\n"):
        try:
            piece = await stream.readuntil(b"\n")
        except asyncio.LimitOverrunError as overrun:
            piece = await stream.readexactly(overrun.consumed)
        passed += len(piece)
        if passed > MOST_PASSED_BYTES:
            raise ConnectionError("a line without end")
        last = (last + piece)[-EDGE_BYTES:]
    return head, last


def too_long_for(head: bytes, last: bytes) -> bytes:
    """The answer that stands for one that was passed over: its request must not wait, and the others go on."""
    found = _ID_FIRST.match(head) or _ID_LAST.search(last)
    if found is None:
        return b""  # the request that it answered ends by its own deadline
    reason = f"the answer was longer than {MAX_LINE_BYTES} bytes"
    return b'{"jsonrpc":"2.0","id":%b,"error":{"code":-32603,"message":"%b"}}' % (found[1], reason.encode())


async def _write(child: Child, outgoing: Any, incoming: Any) -> None:
    try:
        async with outgoing:
            async for message in outgoing:
                line = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                child.stdin.write(line.encode() + b"\n")
                await child.stdin.drain()
    except (ConnectionError, RuntimeError, anyio.ClosedResourceError):
        await incoming.aclose()
