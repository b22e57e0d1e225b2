"""Load in a closed loop, and what the processes under test spent on it by the scheduler's own books."""

import asyncio
import json
import pathlib
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp

LONGEST_SECONDS = 30.0  # a slow peer is measured over fewer requests


@dataclass(frozen=True)
class Figures:
    """One measurement."""

    requests: int
    failed: int
    cpu_microseconds: float
    per_second: float
    p50_ms: float
    p99_ms: float


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    found = [pid]
    for each in found:
        for task in pathlib.Path(f"/proc/{each}/task").glob("*/children"):
            try:
                found += [int(child) for child in task.read_text().split() if int(child) not in found]
            except OSError:
                continue
    return found


def cpu_seconds(pids: Sequence[int]) -> float:
    """Time on a core of these processes and their descendants so far."""
    total = 0
    for pid in {each for root in pids for each in family(root)}:
        for path in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
            try:
                total += int(path.read_text().split()[0])
            except OSError:
                continue
    return total / 1e9


def resident_megabytes(pids: Sequence[int]) -> float:
    """Resident memory of these processes and their descendants."""
    pages = 0
    for pid in {each for root in pids for each in family(root)}:
        try:
            pages += int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
        except OSError:
            continue
    return pages * 4096 / 1e6


async def closed_loop(
    url: str,
    body: dict[str, object],
    pids: Sequence[int],
    *,
    connections: int,
    requests: int,
    headers: dict[str, str],
    first_byte: bool = False,
    seconds: float = LONGEST_SECONDS,
) -> Figures:
    """So many requests over so many connections, each sending its next when the last is answered; fewer when the time
    is over before.
    """
    data = json.dumps(body).encode()
    left = iter(range(requests))
    times: list[float] = []
    failed = 0

    async def client(session: aiohttp.ClientSession) -> None:
        nonlocal failed
        for _ in left:
            started = time.perf_counter()
            if started > end:
                return
            async with session.post(url, data=data, headers=headers) as answer:
                if first_byte:
                    await answer.content.readany()
                    times.append(time.perf_counter() - started)
                text = await answer.read()
                failed += answer.status != 200 or (not first_byte and not text)
            if not first_byte:
                times.append(time.perf_counter() - started)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        before, started = cpu_seconds(pids), time.perf_counter()
        end = started + seconds
        await asyncio.gather(*(client(session) for _ in range(connections)))
        elapsed = time.perf_counter() - started
    await asyncio.sleep(0.3)  # what is done behind the answer belongs to it
    spent = cpu_seconds(pids) - before
    cuts, made = statistics.quantiles(times, n=100), len(times)
    return Figures(made, failed, spent / made * 1e6, made / elapsed, cuts[49] * 1e3, cuts[98] * 1e3)


async def paced_streams(
    url: str, body: dict[str, object], *, streams: int, chunks: int, headers: dict[str, str]
) -> tuple[int, float]:
    """Open so many paced streams at once; how many ended whole, and the longest silence in any of them in seconds."""
    data = json.dumps(body).encode()
    whole, longest = 0, 0.0

    async def one(session: aiohttp.ClientSession, number: int) -> None:
        nonlocal whole, longest
        await asyncio.sleep(number * 0.002)
        last = None
        text = b""
        async with session.post(url, data=data, headers=headers) as answer:
            async for part in answer.content.iter_any():
                now = time.perf_counter()
                if last is not None:
                    longest = max(longest, now - last)
                last = now
                text = (text + part)[-64:]
        whole += text.rstrip().endswith(b"[DONE]")

    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=300)
    ) as session:
        await asyncio.gather(*(one(session, number) for number in range(streams)))
    del chunks
    return whole, longest
