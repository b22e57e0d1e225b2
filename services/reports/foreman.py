"""Hands work to workshop processes and waits for it, with a deadline; a wait that is cancelled kills its process."""

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from services.reports.errors import WorkshopError

ROOT = Path(__file__).parents[2]
DEADLINE_SECONDS = 120.0
# Loading the libraries costs more than a report: the next one within this time finds them loaded.
IDLE_SECONDS = 30.0
PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "FONTCONFIG_PATH", "FONTCONFIG_FILE", "LD_LIBRARY_PATH")


class Foreman:
    """Keeps what is heavy in other processes, out of the service's own memory and event loop."""

    def __init__(self, environment: Mapping[str, str], deadline_seconds: float = DEADLINE_SECONDS) -> None:
        # Only what a renderer needs: none of our keys gets into a process that reads foreign data.
        kept = {name: environment[name] for name in PASSED_ON if name in environment}
        self._environment = {
            **kept,
            "PYTHONPATH": str(ROOT),
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "PYTHONHASHSEED": "0",
            "SOURCE_DATE_EPOCH": "0",
        }
        self._deadline = deadline_seconds
        self._idle: dict[Process, asyncio.TimerHandle] = {}

    async def run(self, request: dict[str, Any]) -> Any:
        """The workshop's answer; raises WorkshopError."""
        process = self._waiting() or await self._open()
        try:
            async with asyncio.timeout(self._deadline):
                told = await _exchange(process, msgspec.msgpack.encode(request))
        except BaseException as error:
            await _kill(process)
            if isinstance(error, TimeoutError):
                raise WorkshopError(f"rendering took longer than {self._deadline:g} s") from error
            raise
        self._idle[process] = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._dismiss, process)
        if "error" in told:
            raise WorkshopError(f"rendering failed: {told['error'][:300]}")
        return told["answer"]

    async def close(self) -> None:
        """End the processes that wait for work."""
        for process in list(self._idle):
            self._dismiss(process)
            await process.wait()

    def _waiting(self) -> Process | None:
        while self._idle:
            process, timer = self._idle.popitem()
            timer.cancel()
            if process.returncode is None:
                return process
        return None

    async def _open(self) -> Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            # Not from the folder we happen to stand in.
            "-P",
            "-m",
            "services.reports.workshop",
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=self._environment,
        )

    def _dismiss(self, process: Process) -> None:
        """It ends when it hears no more of us."""
        self._idle.pop(process).cancel()
        if process.stdin is not None:
            process.stdin.close()


async def _exchange(process: Process, body: bytes) -> Any:
    stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
    assert stdin is not None and stdout is not None and stderr is not None  # noqa: S101, PT018  # all are pipes
    try:
        stdin.write(len(body).to_bytes(4, "big") + body)
        await stdin.drain()
        answer = await stdout.readexactly(int.from_bytes(await stdout.readexactly(4), "big"))
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        stdin.close()
        complaint = (await stderr.read()).decode("utf-8", "replace").strip().splitlines()[-1:] or ["no message"]
        raise WorkshopError(f"rendering ended with {await process.wait()}: {complaint[0][:300]}") from error
    return msgspec.msgpack.decode(answer)


async def _kill(process: Process) -> None:
    # Its child ends with the pipe.
    if process.stdin is not None:
        process.stdin.close()
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await asyncio.shield(process.wait())
