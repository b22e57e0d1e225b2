"""`make bench`: CPU per request, throughput and latency, the peers in the same run.

python -m bench [--requests 2000] [--streams 1000] [--only tollway,bare]
"""

import argparse
import asyncio
import pathlib
import platform
import sys
import tempfile
import time
from collections.abc import Callable

from bench import measure, subjects
from bench.peers import NotHere
from bench.subjects import Subject
from tests.ports import free_port

MESSAGES = [{"role": "user", "content": "Say a few words about toll roads."}]
CONNECTIONS = 16


def body(model: str, *, stream: bool) -> dict[str, object]:
    return {"model": model, "messages": MESSAGES, **({"stream": True} if stream else {})}


async def one(subject: Subject, requests: int) -> tuple[measure.Figures, measure.Figures | None, measure.Figures]:
    headers = {"content-type": "application/json", **subject.headers}
    subjects.answering(subject.url, body(subject.model, stream=False), subject.headers)
    ask = {"connections": CONNECTIONS, "headers": headers}
    await measure.closed_loop(
        subject.url, body(subject.model, stream=False), subject.pids, requests=max(200, requests // 5), **ask
    )
    plain = await measure.closed_loop(
        subject.url, body(subject.model, stream=False), subject.pids, requests=requests, **ask
    )
    await measure.closed_loop(
        subject.url, body(subject.model, stream=True), subject.pids, requests=max(50, requests // 20), **ask
    )
    stream = await measure.closed_loop(
        subject.url, body(subject.model, stream=True), subject.pids, requests=max(200, requests // 2), **ask
    )
    first = await measure.closed_loop(
        subject.url,
        body(subject.model, stream=True),
        subject.pids,
        requests=max(200, requests // 4),
        connections=4,
        headers=headers,
        first_byte=True,
    )
    return plain, stream, first


def row(name: str, plain: measure.Figures, stream: measure.Figures | None, first: measure.Figures) -> str:
    streamed = f"{stream.cpu_microseconds:>9,.0f}" if stream and not stream.failed else "   failed"
    return f"{name:36} {plain.cpu_microseconds:>9,.0f} {streamed} {plain.per_second:>9,.0f} {plain.p50_ms:>8.2f} {plain.p99_ms:>8.2f} {first.p50_ms:>8.2f}"


async def many_streams(subject: Subject, count: int) -> str:
    headers = {"content-type": "application/json", **subject.headers}
    before = measure.resident_megabytes(subject.pids)
    task = asyncio.ensure_future(
        measure.paced_streams(
            subject.url, {**body("paced-250", stream=True)}, streams=count, chunks=250, headers=headers
        )
    )
    await asyncio.sleep(4)
    during = measure.resident_megabytes(subject.pids)
    whole, longest = await task
    each = (during - before) * 1000 / count / len(subject.pids)
    return f"{count} streams of 250 chunks at 20 ms: {whole} whole, longest silence {longest * 1000:.0f} ms, {each:.0f} kB per open stream and process"


async def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tollway-bench-", ignore_cleanup_errors=True) as folder:
        place = pathlib.Path(folder)
        port = free_port()
        provider = f"http://127.0.0.1:{port}"
        source = subjects.spawn([sys.executable, "-m", "bench.provider", str(port)], place)
        subjects.answering(f"{provider}/v1/chat/completions", body("bench", stream=False), {})
        try:
            await _table(options, provider, place)
        finally:
            source.terminate()
            source.wait(10)
    return 0


async def _table(options: argparse.Namespace, provider: str, place: pathlib.Path) -> None:
    makers: dict[str, Callable[[pathlib.Path], Subject]] = {
        "nginx": lambda folder: subjects.nginx(provider, folder),
        "bare1": lambda folder: subjects.bare(1, provider, folder),
        "bare": lambda folder: subjects.bare(2, provider, folder),
        "tollway": lambda folder: subjects.tollway(provider, folder),
        "portkey": lambda folder: subjects.portkey(provider, folder),
        "litellm": lambda folder: subjects.litellm(provider, folder),
    }
    wanted = [name for name in options.only.split(",") if name] or list(makers)
    print(
        f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, {CONNECTIONS} connections, {options.requests} requests, instant provider; CPU of the subject's own processes"
    )
    print(f"{'':36} {'CPU µs':>9} {'CPU µs':>9} {'':>9} {'p50':>8} {'p99':>8} {'first':>8}")
    print(f"{'forwarder':36} {'plain':>9} {'100 chk':>9} {'plain/s':>9} {'ms':>8} {'ms':>8} {'byte ms':>8}")
    left_out = []
    for name in wanted:
        folder = place / name
        folder.mkdir()
        try:
            subject = makers[name](folder)
        except NotHere as reason:
            left_out.append(f"{name}: {reason}")
            continue
        try:
            print(row(subject.name, *await one(subject, options.requests)), flush=True)
            if name == "tollway" and options.streams:
                print("  " + await many_streams(subject, options.streams), flush=True)
        except NotHere as reason:
            left_out.append(f"{name}: {reason}")
        finally:
            subject.stop()
        time.sleep(0.5)
    for line in left_out:
        print(f"not measured: {line}")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
