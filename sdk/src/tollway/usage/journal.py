"""The local folder of daily JSONL files, which many processes may append to: each record is one `write`."""

import json
import logging
import os
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

log = logging.getLogger("tollway.usage")

FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)


def encode(record: dict[str, Any]) -> bytes:
    """The record as one line."""
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"), default=str)
    return text.encode("utf-8", "replace") + b"\n"


def append_line(path: Path, line: bytes) -> None:
    """Appends one line in a single write, first ending a line that a dying process left torn."""
    try:
        file = os.open(path, FLAGS, 0o644)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, FLAGS, 0o644)
    try:
        # a blank line is skipped on reading, so two processes may both end the same torn line
        if _is_torn(file):
            line = b"\n" + line
        if os.write(file, line) != len(line):
            msg = f"{path}: the record was written only in part"
            raise OSError(msg)
    finally:
        os.close(file)


def _is_torn(file: int) -> bool:
    if os.fstat(file).st_size == 0:
        return False
    os.lseek(file, -1, os.SEEK_END)
    return os.read(file, 1) != b"\n"


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Every readable record of a file; torn and foreign lines are passed over."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        yield from parse_lines(file, path)


def parse_lines(lines: Iterable[bytes], path: Path) -> Iterator[dict[str, Any]]:
    """The records among some lines of a file."""
    unreadable = 0
    for line in lines:
        if line.isspace():
            continue
        try:
            record = json.loads(line)
        except ValueError:
            unreadable += 1
            continue
        if isinstance(record, dict):
            yield record
    if unreadable:
        log.warning("%s: %d unreadable line(s) passed over", path, unreadable)


class Journal:
    """The seed's folder: `usage_YYYY-MM-DD.jsonl`, a file for each day of the local time zone."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def path(self, day: date) -> Path:
        return self.directory / f"usage_{day.isoformat()}.jsonl"

    def append(self, record: dict[str, Any]) -> None:
        """Writes the record to the file of its own day."""
        append_line(self.path(day_of(record["timestamp"])), encode(record))

    def day(self, day: date) -> Iterator[dict[str, Any]]:
        """The records of one day."""
        return read_lines(self.path(day))

    def everything(self) -> Iterator[dict[str, Any]]:
        """The records of all days, oldest first."""
        for path in sorted(self.directory.glob("usage_????-??-??.jsonl")):
            yield from read_lines(path)


def day_of(timestamp: float) -> date:
    """The local day of a moment."""
    return datetime.fromtimestamp(timestamp).astimezone().date()
