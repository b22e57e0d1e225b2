"""One tracked call from its start to its single record, however it ends."""

import asyncio
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tollway.usage.book import get_usage_monitor
from tollway.usage.labels import labelled
from tollway.usage.nesting import Inside
from tollway.usage.record import Labels, Status, Usage
from tollway.usage.tokens import Meter

log = logging.getLogger("tollway.usage")

# leaving is not failing: the caller went away, or the program is being stopped
LEAVING = (GeneratorExit, asyncio.CancelledError, KeyboardInterrupt, SystemExit)


@dataclass(frozen=True, slots=True)
class Tracking:
    """What a decorator was told."""

    function: str
    model: str | None


class TrackedCall:
    """Measures one call and books it exactly once.

    A call made inside another tracked one has its labels, unless it has its own, and is booked instead of it:
    the outer one is booked only for what the inner ones have not read or met.
    """

    def __init__(self, tracking: Tracking, labels: Labels) -> None:
        self._tracking = tracking
        self._labels = labels
        self._inside = Inside()
        self._meter = Meter(self._inside.claim)
        self._timestamp = time.time()
        self._started = time.perf_counter()
        self._first_item: float | None = None
        self._booked = threading.Lock()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Surrounds the tracked code, so that calls inside know of this one."""
        with self._inside.entered(), labelled(self._labels):
            yield

    def observe(self, item: object) -> None:
        """Reads usage from an answer or a stream event."""
        try:
            self._meter.observe(item)
        except Exception:  # a strange object must not break the caller's call
            log.debug("no usage could be read from a %s", type(item).__name__, exc_info=True)

    def observe_event(self, item: object) -> None:
        """The same for one event of a stream, whose first one is timed."""
        if self._first_item is None:
            self._first_item = time.perf_counter()
        self.observe(item)

    def finish(self, error: BaseException | None = None, *, left: bool = False) -> None:
        """Books the call; whatever comes after the first time is ignored."""
        if not self._booked.acquire(blocking=False):
            return
        if self._inside.outer is not None:
            self._inside.outer.error = error
        if self._is_booked_inside(error):
            return
        usage: Usage | None = None
        try:
            usage = self._usage(error, left=left)
            get_usage_monitor().record(usage)
        except Exception:  # bookkeeping must never break the caller's call
            log.exception("a call of %r could not be recorded: %r", self._tracking.function, usage)

    def _is_booked_inside(self, error: BaseException | None) -> bool:
        met, self._inside.error = self._inside.error, None
        if not self._inside.has_calls or self._meter.tokens.total is not None:
            return False
        return error is None or error is met or isinstance(error, LEAVING)

    def _usage(self, error: BaseException | None, *, left: bool) -> Usage:
        status = self._status(error, left=left)
        tokens = self._meter.tokens
        answered = self._meter.model
        model = self._tracking.model or answered or "unknown"
        extra: dict[str, Any] = {"answered_model": answered} if answered and answered != model else {}
        if self._first_item is not None:
            extra["ttft_ms"] = round((self._first_item - self._started) * 1000, 3)
        return Usage(
            model=model,
            function=self._tracking.function,
            tokens=tokens,
            duration_ms=(time.perf_counter() - self._started) * 1000,
            success=status == "ok",
            status=status,
            error_msg=_message(error, status),
            labels=self._labels,
            timestamp=self._timestamp,
            extra=extra,
        )

    def _status(self, error: BaseException | None, *, left: bool) -> Status:
        if error is not None and not isinstance(error, LEAVING):
            return "error"
        # a reader may stop at the finish reason without draining the stream
        if (left or error is not None) and not self._meter.finished:
            return "aborted"
        return "ok"


def _message(error: BaseException | None, status: Status) -> str | None:
    if status == "ok":
        return None
    if status == "aborted":
        return "aborted: the caller left before the end"
    return f"{type(error).__name__}: {error}"
