"""One append-only file of records on their way to a server, locked for as long as its process lives."""

import importlib
import itertools
import logging
import os
from pathlib import Path
from types import ModuleType
from typing import Any

from tollway.ids import new_event_id
from tollway.usage.journal import parse_lines

log = logging.getLogger("tollway.usage")


def _locks() -> ModuleType | None:
    try:
        return importlib.import_module("fcntl")
    except ImportError:  # on Windows no process adopts the records of another
        return None


_fcntl = _locks()


class Segment:
    """An open, locked file, and how far it was sent."""

    def __init__(self, path: Path, file: int) -> None:
        self.path = path
        self.size = os.fstat(file).st_size
        self._file = file
        self.sent_bytes = 0

    def append(self, line: bytes) -> None:
        """Adds one record in a single write."""
        if os.write(self._file, line) != len(line):
            os.write(self._file, b"\n")
            msg = f"{self.path}: the record was written only in part"
            raise OSError(msg)
        self.size += len(line)

    def unsent(self, most: int) -> tuple[list[dict[str, Any]], int]:
        """The next records to send, and the place in the file where they end."""
        # by the open file, not the name: a segment whose name somebody removed is still sent
        with os.fdopen(os.dup(self._file), "rb") as file:
            file.seek(self.sent_bytes)
            lines = list(itertools.islice(file, most))
        return list(parse_lines(lines, self.path)), self.sent_bytes + sum(map(len, lines))

    def count_unsent(self) -> int:
        """How many records there are to send."""
        with os.fdopen(os.dup(self._file), "rb") as file:
            file.seek(self.sent_bytes)
            return sum(1 for _ in parse_lines(file, self.path))

    def sent_up_to(self, place: int) -> None:
        """Remembers what the server has taken."""
        self.sent_bytes = place

    def delete(self) -> None:
        """Forgets a segment that was sent."""
        self.path.unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        """Lets go of the file without touching it."""
        # once only: the number may soon belong to another file
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)


def open_segment(directory: Path) -> Segment:
    """A new segment of this process."""
    directory.mkdir(parents=True, exist_ok=True)
    # locked under a name nobody adopts, so that no other process can take it between creation and lock
    unready = directory / f".segment-{new_event_id()}.new"
    file = os.open(unready, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
    _lock(file)
    path = directory / f"segment-{new_event_id()}.jsonl"
    unready.rename(path)
    return Segment(path, file)


def adopt_orphans(directory: Path) -> list[Segment]:
    """The segments of processes that live no more, oldest first."""
    orphans = []
    for path in sorted(directory.glob("segment-*.jsonl")) if _fcntl else []:
        try:
            file = os.open(path, os.O_RDWR | os.O_APPEND)
        except OSError:  # gone by now, or another user's
            continue
        # unlinked between opening and locking: its owner has just sent it
        if _lock(file) and os.fstat(file).st_nlink:
            log.info("adopting the usage records that an earlier process left in %s", path)
            orphans.append(Segment(path, file))
        else:
            os.close(file)
    return orphans


def _lock(file: int) -> bool:
    if _fcntl is None:
        return True
    try:
        _fcntl.flock(file, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
    except OSError:
        return False
    return True
