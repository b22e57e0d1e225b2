"""Starts a workshop process for one piece of work and waits for it, with a deadline; a cancelled wait kills it."""

import asyncio
import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from services.reports.errors import WorkshopError

ROOT = Path(__file__).parents[2]
DEADLINE_SECONDS = 120.0
PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "FONTCONFIG_PATH", "FONTCONFIG_FILE", "LD_LIBRARY_PATH")


class Foreman:
    """Hands work to a fresh process, so that the service's own memory and event loop stay out of it."""

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

    async def run(self, request: dict[str, Any]) -> Any:
        """The workshop's answer; raises WorkshopError."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "services.reports.workshop",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._environment,
        )
        try:
            async with asyncio.timeout(self._deadline):
                return await self._exchange(process, msgspec.msgpack.encode(request))
        except TimeoutError as error:
            raise WorkshopError(f"rendering took longer than {self._deadline:g} s") from error
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    async def _exchange(self, process: asyncio.subprocess.Process, body: bytes) -> Any:
        stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
        assert stdin is not None and stdout is not None and stderr is not None  # noqa: S101, PT018  # all are pipes
        with contextlib.suppress(ConnectionError):
            stdin.write(len(body).to_bytes(4, "big") + body)
            await stdin.drain()
        # stdin stays open until the answer is here: its end would tell the child that we are gone.
        answer, complaint = await asyncio.gather(stdout.read(), stderr.read())
        stdin.close()
        code = await process.wait()
        if code != 0:
            last = complaint.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no message"]
            raise WorkshopError(f"rendering ended with {code}: {last[0][:300]}")
        return msgspec.msgpack.decode(answer)
