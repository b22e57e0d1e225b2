"""The local durable log of usage events: what happened is on disk before anybody else hears of it.

A process owns one folder, by a lock. What a dead process left is adopted by the next one that looks: its finished
events are published, its attempts that never ended are closed as `interrupted` with the best usage known. Ids make
repeats harmless.
"""

import asyncio
import fcntl
import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import structlog
from msgspec import structs

from shared import spool_file
from shared.errors import SpoolFull
from shared.ids import new_id
from shared.messages.envelope import decode, encode
from shared.messages.router import AttemptEnded, AttemptProgress, AttemptStarted
from shared.wire.usage import TokenUsage

log = structlog.get_logger(__name__)

STARTED, PROGRESS, ENDED = 1, 2, 3
SEGMENT_BYTES = 4 << 20
AHEAD_EVENTS = 10_000
LOCK, CURSOR = "lock", "cursor"


@dataclass
class Open:
    """An attempt that has begun and not ended."""

    started: AttemptStarted
    progress: AttemptProgress | None = None


@dataclass(frozen=True)
class Position:
    """A place in the log: everything before it is published."""

    segment: int = 0
    offset: int = 0


@dataclass
class Pending:
    """An event to publish and where the log stands once it is."""

    body: bytes
    position: Position


@dataclass
class Spool:
    """The log this process writes. Appending takes microseconds and never waits for the bus."""

    root: Path
    limit_bytes: int = 1 << 30
    segment_bytes: int = SEGMENT_BYTES
    ahead: int = AHEAD_EVENTS
    producer: str = field(default_factory=new_id)

    def __post_init__(self) -> None:
        self.folder = self.root / self.producer
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(self.folder)
        if self._lock is None:
            raise RuntimeError(f"{self.folder} belongs to another process")
        self._open: dict[str, Open] = {}
        self._writer = spool_file.SegmentWriter(self.folder, 1, self.segment_bytes)
        self._position = Position(1, 0)
        self._cursor = os.open(self.folder / CURSOR, os.O_WRONLY | os.O_CREAT, 0o600)
        # What is pending, as long as memory holds all of it; beyond that the log itself is read.
        self._ahead: deque[Pending] | None = deque()
        self._written = 0
        self._dropped = 0
        self.sequence = 0
        self.events_waiting = 0
        self.oldest_waiting: float | None = None
        self.unsynced = False
        self.wrote = asyncio.Event()

    @property
    def bytes_waiting(self) -> int:
        """How much of the log is not published yet."""
        return self._written - self._dropped - self._position.offset

    @property
    def full(self) -> bool:
        """Whether new work must be refused because its event could not be kept."""
        return self.bytes_waiting >= self.limit_bytes

    def start(self, started: AttemptStarted) -> None:
        """Note that an attempt is about to begin; raises SpoolFull."""
        if self.full:
            raise SpoolFull
        self._open[started.event_id] = Open(started)
        self._append(STARTED, encode(started))

    def progress(self, progress: AttemptProgress) -> None:
        """Note what an attempt has used so far."""
        known = self._open.get(progress.event_id)
        if known is not None:
            known.progress = progress
            self._append(PROGRESS, encode(progress))

    def end(self, ended: AttemptEnded) -> None:
        """Note how an attempt ended. A second end of the same attempt is ignored."""
        known = self._open.pop(ended.event_id, None)
        if known is None and ended.kind != "cache":  # only a cache hit has no beginning
            return
        self.sequence += 1
        body = encode(structs.replace(ended, producer=self.producer, sequence=self.sequence))
        self._append_ended(body)
        self.events_waiting += 1
        if self.oldest_waiting is None:
            self.oldest_waiting = ended.timestamp
        self.wrote.set()

    def _append(self, kind: int, body: bytes) -> None:
        if self._writer.full:
            self._rotate()
        self._write(kind, body)
        self.unsynced = True

    def _append_ended(self, body: bytes) -> None:
        self._append(ENDED, body)
        if self._ahead is None:
            return
        if len(self._ahead) < self.ahead:
            self._ahead.append(Pending(body, Position(self._writer.number, self._writer.written)))
        else:
            self._ahead = None

    def _write(self, kind: int, body: bytes) -> None:
        data = spool_file.pack(kind, body)
        self._writer.append(data)
        self._written += len(data)

    def _rotate(self) -> None:
        """Carry what is still open into the next segment, so that the one before may be deleted."""
        self._writer.rotate()
        for known in self._open.values():
            self._write(STARTED, encode(known.started))
            if known.progress is not None:
                self._write(PROGRESS, encode(known.progress))

    def sync(self) -> None:
        """Flush to the disk what is new; called off the event loop, some times a second."""
        self.unsynced = False
        try:
            self._writer.sync()
        except OSError as error:  # closed or rotated meanwhile: the next round syncs what is new
            log.debug("spool_sync_skipped", error=str(error))

    def pending(self, most: int) -> list[Pending]:
        """The next events to publish, oldest first."""
        if self._ahead is None:
            found = list(_pending(self.folder, self._position, most + 1))
            if len(found) <= most:  # caught up: from here on memory holds all of it
                self._ahead = deque(found)
            return found[:most]
        return list(islice(self._ahead, most))

    def published(self, position: Position, count: int) -> None:
        """Everything before the position has been confirmed: remember it and delete what is no longer needed."""
        before, self._position = self._position, position
        os.pwrite(self._cursor, _cursor(position), 0)
        for _ in range(min(count, len(self._ahead or ()))):
            self._ahead.popleft()  # type: ignore[union-attr]  # the range is empty when there is nothing
        if position.segment != before.segment:
            for path in spool_file.segments(self.folder):
                if int(path.stem) < position.segment:
                    self._dropped += path.stat().st_size
                    path.unlink()
        self.events_waiting = max(0, self.events_waiting - count)
        if not self.events_waiting:
            self.oldest_waiting = None

    def close(self) -> None:
        """Close the log; an empty one is removed."""
        self._writer.close()
        os.close(self._cursor)
        if not self._open and not self.pending(1):
            _remove(self.folder)
        if self._lock is not None:
            os.close(self._lock)

    def adopt(self, now: float) -> int:
        """Take over the logs of dead processes: every event of theirs is written into this one. Returns how many."""
        count = 0
        for folder in sorted(self.root.iterdir()):
            if folder == self.folder or not folder.is_dir():
                continue
            held = _lock(folder)
            if held is None:
                continue
            try:
                count += self._take_over(folder, now)
            finally:
                os.close(held)
        return count

    def _take_over(self, folder: Path, now: float) -> int:
        left = _Left.read(folder)
        for body in left.ended:
            self._append_ended(body)
        for known in left.open.values():
            self.sequence += 1
            ended = structs.replace(interrupted(known, now), producer=self.producer, sequence=self.sequence)
            self._append_ended(encode(ended))
        count = len(left.ended) + len(left.open)
        self._writer.sync()
        self.events_waiting += count
        if count:
            self.oldest_waiting = self.oldest_waiting or now
            self.wrote.set()
            log.info("spool_adopted", producer=folder.name, ended=len(left.ended), interrupted=len(left.open))
        _remove(folder)
        return count


@dataclass
class _Left:
    """What a dead process left behind."""

    ended: list[bytes] = field(default_factory=list)
    open: dict[str, Open] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> "_Left":
        left, position = cls(), _stored(folder)
        for path in spool_file.segments(folder):
            number = int(path.stem)
            for record in spool_file.read(path):
                left._take(record, published=(number, record.end) <= (position.segment, position.offset))
        return left

    def _take(self, record: spool_file.Record, *, published: bool) -> None:
        if record.kind == STARTED:
            started = decode(record.body, AttemptStarted)
            self.open[started.event_id] = Open(started)
        elif record.kind == PROGRESS:
            progress = decode(record.body, AttemptProgress)
            if progress.event_id in self.open:
                self.open[progress.event_id].progress = progress
        elif record.kind == ENDED:
            self.open.pop(decode(record.body, AttemptEnded).event_id, None)
            if not published:
                self.ended.append(record.body)


def interrupted(known: Open, now: float) -> AttemptEnded:
    """How an attempt ended whose process died: with the best usage known, or none when no byte had come."""
    started, progress = known.started, known.progress
    usage: TokenUsage | None = None
    if progress is not None:
        usage = progress.usage
        if usage.input_tokens is None and started.input_tokens_estimate is not None:
            usage = usage.merge(TokenUsage(input_tokens=started.input_tokens_estimate))
    return started.ended(
        usage=usage,
        usage_source="none" if usage is None else "estimated",
        duration_ms=max(0.0, (now - started.timestamp) * 1000) if progress is None else None,
        ttft_ms=progress.ttft_ms if progress else None,
        status="interrupted",
        error_msg="Tollway stopped before the answer ended",
    )


def _pending(folder: Path, position: Position, most: int) -> Iterator[Pending]:
    found = 0
    for path in spool_file.segments(folder):
        number = int(path.stem)
        if number < position.segment:
            continue
        for record in spool_file.read(path, position.offset if number == position.segment else 0):
            if record.kind == ENDED:
                yield Pending(record.body, Position(number, record.end))
                found += 1
                if found >= most:
                    return


def _lock(folder: Path) -> int | None:
    """Hold a folder for this process; None when another one lives in it."""
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def _cursor(position: Position) -> bytes:
    """A position in one small write of fixed length, so that the next one covers it whole."""
    return b"%010d %012d\n" % (position.segment, position.offset)


def _stored(folder: Path) -> Position:
    """The position a dead process had reached; one that cannot be read means publishing again, which is harmless."""
    try:
        text = (folder / CURSOR).read_bytes()
        segment, offset = text.split()
        return Position(int(segment), int(offset)) if len(text) == len(_cursor(Position())) else Position()
    except (OSError, ValueError):
        return Position()


def _remove(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name != LOCK:
            path.unlink(missing_ok=True)
    (folder / LOCK).unlink(missing_ok=True)
    folder.rmdir()
