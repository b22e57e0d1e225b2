"""The short-lived process for heavy work: numpy, Jinja2, WeasyPrint and resvg are loaded here and nowhere else.

It reads one length-prefixed request from stdin, writes one answer to stdout and ends. Its stdin stays open while its
parent lives: when it closes early, the parent is gone and so is this process.
"""

import importlib
import os
import resource
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec

from services.reports.sources.base import Finding

MEMORY_BYTES = 2 << 30
CPU_SECONDS = 120
ORPHANED = 70
STDIN = 0


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    request = msgspec.msgpack.decode(_read(int.from_bytes(_read(4), "big")))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    answer = JOBS[request["work"]](request)
    sys.stdout.buffer.write(msgspec.msgpack.encode(answer))
    sys.stdout.buffer.flush()


def _read(size: int) -> bytes:
    """From the descriptor itself: a thread blocked in Python's own buffer would abort the interpreter's end."""
    found = bytearray()
    while len(found) < size and (chunk := os.read(STDIN, size - len(found))):
        found += chunk
    return bytes(found)


def _end_with_parent() -> None:
    while os.read(STDIN, 1):
        pass
    os._exit(ORPHANED)


def analyse(request: dict[str, Any]) -> bytes:
    """Findings to analysis."""
    analysing = importlib.import_module("services.reports.analyse")
    findings = msgspec.msgpack.decode(request["findings"], type=list[Finding])
    return msgspec.msgpack.encode(analysing.analyse(request["subject"], findings))


def render(request: dict[str, Any]) -> list[str]:
    """Analysis and insight to files in the given folder."""
    rendering = importlib.import_module("services.reports.render")
    facts = importlib.import_module("services.reports.facts")
    claims = importlib.import_module("services.reports.insight.claims")
    analysis = msgspec.msgpack.decode(request["analysis"], type=facts.Analysis)
    insight = msgspec.msgpack.decode(request["insight"], type=claims.Insight)
    return _write(request["folder"], rendering.token_files(analysis, insight, request["formats"]))


def render_usage(request: dict[str, Any]) -> list[str]:
    """Usage figures to files in the given folder."""
    rendering = importlib.import_module("services.reports.usage_render")
    taken = msgspec.msgpack.decode(
        request["usage"], type=importlib.import_module("services.reports.usage_report").Taken
    )
    files = rendering.usage_files(taken, request["key_id"], request["language"], request["formats"])
    return _write(request["folder"], files)


def _write(folder: str, files: dict[str, bytes]) -> list[str]:
    for form, body in files.items():
        with (Path(folder) / form).open("wb") as opened:
            opened.write(body)
    return sorted(files)


JOBS = {"analyse": analyse, "render": render, "render_usage": render_usage}

if __name__ == "__main__":
    main()
