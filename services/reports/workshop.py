"""The process for heavy work: numpy, Jinja2, WeasyPrint and resvg are loaded here and nowhere else.

It reads length-prefixed requests from stdin and answers each on stdout. A request is worked on by a child of its own,
with limits of memory and time, so that nothing of one report is left for the next; the libraries are loaded once, here.
Its stdin stays open while its parent lives: when it closes, the parent is gone and so are this process and its child.
"""

import gc
import importlib
import os
import resource
import select
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec

from services.reports.sources.base import Finding

MEMORY_BYTES = 2 << 30
CPU_SECONDS = 120
ORPHANED = 70
STDIN, STDOUT, STDERR = 0, 1, 2
MODULES = {"analyse": "services.reports.analyse", "render": "services.reports.render"}
FORMAT_MODULES = {"pdf": "weasyprint", "png": "resvg_py"}


def main() -> None:
    # A child lives for one report: collecting in it took a quarter of the time and gave nothing back.
    gc.disable()
    while size := _read(4):
        request = msgspec.msgpack.decode(_read(int.from_bytes(size, "big")))
        _load(request)
        child = os.fork()
        if child == 0:
            _work(request)
        _, status = os.waitpid(child, 0)
        if status:
            sys.exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _load(request: dict[str, Any]) -> None:
    """What the child will need, for it and its successors."""
    names = [MODULES.get(request["work"]), *(FORMAT_MODULES.get(form) for form in request.get("formats", ()))]
    for name in filter(None, names):
        importlib.import_module(name)


def _work(request: dict[str, Any]) -> None:
    """The child: one answer, and its end."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    # What libraries have to say about a page would fill the pipe, which is read when something went wrong.
    os.dup2(os.open(os.devnull, os.O_WRONLY), STDERR)
    try:
        told = {"answer": JOBS[request["work"]](request)}
    except Exception as error:  # noqa: BLE001 -- this process ends here; its parent tells the job
        told = {"error": f"{type(error).__name__}: {error}"}
    body = msgspec.msgpack.encode(told)
    left = memoryview(len(body).to_bytes(4, "big") + body)
    while left:
        left = left[os.write(STDOUT, left) :]
    os._exit(0)


def _read(size: int) -> bytes:
    """From the descriptor itself: a thread blocked in Python's own buffer would abort the interpreter's end."""
    found = bytearray()
    while len(found) < size and (chunk := os.read(STDIN, size - len(found))):
        found += chunk
    return bytes(found)


def _end_with_parent() -> None:
    # Not by reading: the first byte of the next request may come before this child is gone.
    hung_up = select.poll()
    hung_up.register(STDIN, getattr(select, "POLLRDHUP", 0))
    hung_up.poll()
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
