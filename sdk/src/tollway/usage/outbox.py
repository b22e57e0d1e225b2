"""The way to a server: a record is first appended to a local segment file, then sent by a background thread.

A segment is deleted only when the server has taken all of it, so a crash loses nothing; the next process
adopts what a dead one left (its lock on the file is gone), and the server recognises repeats by `event_id`.
"""

import contextlib
import json
import logging
import os
import random
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tollway.errors import RefusedError, ServerUnreachableError, TollwayError
from tollway.usage.journal import LineFile, encode
from tollway.usage.segment import Segment, adopt_orphans, open_segment

log = logging.getLogger("tollway.usage")

Record = dict[str, Any]
LINGER_SECONDS = 0.1
ADOPT_EVERY_SECONDS = 60.0
LONGEST_PAUSE_SECONDS = 30.0
# a slow server is worth a moment at the end of a program, one that is away is not
CLOSE_SECONDS = 10.0
JOIN_SECONDS = 2.0
BATCH = 500
MOST_BYTES = 1 << 30


class Outbox:
    """A durable queue of records with one sender thread, made when the first record comes."""

    def __init__(self, directory: Path, deliver: Callable[[list[Record]], None]) -> None:
        self.directory = directory
        self._deliver = deliver
        self._reset()
        _live.add(self)

    def _reset(self) -> None:
        self._changed = threading.Condition()
        self._active: Segment | None = None
        self._sealed: list[Segment] = []
        self._thread: threading.Thread | None = None
        self._unsent = 0
        self._urgent = False
        self._closed = False
        self._failures = 0
        self._unreached = 0
        self._looked_for_orphans = float("-inf")

    @property
    def unsent(self) -> int:
        """How many records the server has not taken yet."""
        return self._unsent

    def put(self, record: Record) -> None:
        """Makes the record durable and wakes the sender; raises OSError when the disk refuses it."""
        line = encode(record)
        with self._changed:
            if self._active is None:
                self._active = open_segment(self.directory)
            if self._active.size > MOST_BYTES:
                msg = f"{self._active.path} is full: the server has been away for too long"
                raise OSError(msg)
            self._active.append(line)
            self._unsent += 1
            self._start()
            self._changed.notify_all()

    def start(self) -> None:
        """Starts the sender, so that what an earlier process left is sent."""
        with self._changed:
            self._start()

    def _start(self) -> None:
        if self._thread is not None or self._closed:
            return
        thread = threading.Thread(target=self._run, name="tollway-usage", daemon=True)
        # at the very end of a program no thread can be started; the next one sends what is on disk
        with contextlib.suppress(RuntimeError):
            thread.start()
            self._thread = thread

    def flush(self, timeout_seconds: float, *, only_if_reachable: bool = False) -> bool:
        """Tries to send everything now; True when nothing is left."""
        with self._changed:
            self._urgent = True
            self._changed.notify_all()
            unreached = self._unreached

            def settled() -> bool:
                hopeless = only_if_reachable and self._unreached > unreached
                return not self._unsent or self._thread is None or hopeless

            self._changed.wait_for(settled, timeout_seconds)
            return self._unsent == 0

    def close(self, timeout_seconds: float = CLOSE_SECONDS) -> None:
        """Sends what it can, then stops; the rest stays on disk for the next process."""
        if not self.flush(timeout_seconds, only_if_reachable=True):
            log.warning("%d usage record(s) wait in %s for the next start", self._unsent, self.directory)
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(JOIN_SECONDS)
        # a sender that is still in the middle of a request holds its files until the process ends
        if thread is None or not thread.is_alive():
            self._release()

    def abandon(self) -> None:
        """After a fork: the records belong to the parent, so the child forgets them and starts afresh."""
        self._release()
        self._reset()

    def _release(self) -> None:
        for segment in (*self._sealed, *([self._active] if self._active else [])):
            segment.release()
        self._sealed, self._active = [], None

    def _run(self) -> None:
        while self._wait():
            try:
                sent = self._send_all()
            except Exception:  # the sender must outlive whatever one round meets
                log.exception("sending usage records failed")
                sent = False
            with self._changed:
                self._failures = 0 if sent else self._failures + 1
                self._urgent = False
                self._changed.notify_all()

    def _wait(self) -> bool:
        """Waits for work; False when the outbox is closed."""
        with self._changed:
            if self._failures:
                pause = min(0.5 * 2 ** min(self._failures - 1, 10), LONGEST_PAUSE_SECONDS)
                self._changed.wait_for(lambda: self._closed or self._urgent, pause * random.uniform(0.7, 1.0))
            else:
                self._changed.wait_for(lambda: self._closed or self._unsent or self._orphans_due, ADOPT_EVERY_SECONDS)
                self._changed.wait_for(lambda: self._closed or self._urgent, LINGER_SECONDS)
            return not self._closed

    @property
    def _orphans_due(self) -> bool:
        return time.monotonic() - self._looked_for_orphans >= ADOPT_EVERY_SECONDS

    def _send_all(self) -> bool:
        self._adopt()
        while segment := self._oldest():
            if not self._send(segment):
                return False
            self._sealed.pop(0)
        return True

    def _oldest(self) -> Segment | None:
        """The segment to send next; the one that is being written is closed only when its turn has come."""
        with self._changed:
            if not self._sealed and self._active is not None:
                self._sealed.append(self._active)
                self._active = None
        return self._sealed[0] if self._sealed else None

    def _adopt(self) -> None:
        if not self._orphans_due:
            return
        self._looked_for_orphans = time.monotonic()
        orphans = adopt_orphans(self.directory)
        found = sum(segment.count_unsent() for segment in orphans)
        self._sealed[:0] = orphans
        with self._changed:
            self._unsent += found

    def _send(self, segment: Segment) -> bool:
        while not self._closed:
            batch, place = segment.unsent(BATCH)
            if batch and not self._try(batch):
                return False
            # or nothing more can be read, because somebody cut the file
            done = place >= segment.size or place == segment.sent_bytes
            segment.sent_up_to(place)
            if done:
                segment.delete()
            with self._changed:
                self._unsent -= len(batch)
                self._changed.notify_all()
            if done:
                return True
        return False

    def _try(self, batch: list[Record]) -> bool:
        try:
            self._hand_over(batch)
        except (TollwayError, OSError) as error:
            self._unreached += isinstance(error, ServerUnreachableError)
            if not self._failures:
                log.warning("usage records cannot be sent now (%s); they are kept in %s", error, self.directory)
            return False
        if self._failures:
            log.info("usage records can be sent again")
            self._failures = 0
        return True

    def _hand_over(self, batch: list[Record]) -> None:
        try:
            self._deliver(batch)
        except RefusedError as refusal:
            if len(batch) == 1:
                self._set_aside(batch[0], refusal)
                return
            # one bad record refuses them all, so the good ones are found by halving
            middle = len(batch) // 2
            self._hand_over(batch[:middle])
            self._hand_over(batch[middle:])

    def _set_aside(self, record: Record, refusal: RefusedError) -> None:
        path = self.directory / "refused.jsonl"
        LineFile(path).append(encode({**record, "refused": str(refusal)}))
        log.error("the server refused a usage record (%s); it is kept in %s: %s", refusal, path, json.dumps(record))


_live: "weakref.WeakSet[Outbox]" = weakref.WeakSet()


def _forget_after_fork() -> None:
    for outbox in list(_live):
        outbox.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
