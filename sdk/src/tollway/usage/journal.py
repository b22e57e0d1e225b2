"""The local folder of daily JSONL files, which many processes may append to: each record is one `write`."""

import contextlib
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


class LineFile:
    """A file that any number of processes and threads append to: one line, one write. It stays open between them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._opened: _Opened | None = None
        self._whole_until = -1

    def append(self, line: bytes) -> None:
        """Appends one line, first ending one that a dying process left torn."""
        file, size = self._current()
        # a blank line is skipped on reading, so a line may be ended by several that found it torn
        if size not in (0, self._whole_until) and _byte_before(file.number, size) != b"\n":
            line = b"\n" + line
        if os.write(file.number, line) != len(line):
            msg = f"{self.path}: the record was written only in part"
            raise OSError(msg)
        self._whole_until = size + len(line)

    def _current(self) -> "tuple[_Opened, int]":
        """The file that has the name now, which somebody may have moved or deleted, and its size."""
        opened = self._opened
        if opened is not None:
            with contextlib.suppress(FileNotFoundError):
                known = self.path.stat()
                if (known.st_dev, known.st_ino) == opened.identity:
                    return opened, known.st_size
        self._opened = opened = _Opened(self.path)
        return opened, os.fstat(opened.number).st_size


class _Opened:
    """An open file, closed when the last thread that is writing to it has let it go."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.number = os.open(path, FLAGS, 0o644)
        told = os.fstat(self.number)
        self.identity = (told.st_dev, told.st_ino)

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError, OSError):
            os.close(self.number)


def _byte_before(file: int, size: int) -> bytes:
    os.lseek(file, size - 1, os.SEEK_SET)
    return os.read(file, 1)


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
        self._newest = LineFile(self.path(date.min))

    def path(self, day: date) -> Path:
        return self.directory / f"usage_{day.isoformat()}.jsonl"

    def append(self, record: dict[str, Any]) -> None:
        """Writes the record to the file of its own day."""
        path, newest = self.path(day_of(record["timestamp"])), self._newest
        if newest.path != path:
            newest = self._newest = LineFile(path)
        newest.append(encode(record))

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
