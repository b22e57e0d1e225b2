"""Identifiers minted by us: UUIDv7, so that an id carries its time and sorts by it."""

import os
import threading
import time
from uuid import UUID


class _Clock:
    """The last millisecond used and the counter within it, so that ids rise strictly within a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._milliseconds = 0
        self._counter = 0

    def next(self) -> tuple[int, int]:
        """The next pair of millisecond and 12-bit counter, never the same twice."""
        now = time.time_ns() // 1_000_000
        with self._lock:
            if now > self._milliseconds:
                self._milliseconds, self._counter = now, int.from_bytes(os.urandom(2), "big") & 0x3FF
            else:
                self._counter += 1
                if self._counter > 0xFFF:
                    self._milliseconds, self._counter = self._milliseconds + 1, 0
            return self._milliseconds, self._counter


_clock = _Clock()


def uuid7() -> UUID:
    """A new UUIDv7, strictly greater than every one this process made before."""
    milliseconds, counter = _clock.next()
    tail = int.from_bytes(os.urandom(8), "big") & 0x3FFF_FFFF_FFFF_FFFF
    return UUID(int=(milliseconds << 80) | (0x7 << 76) | (counter << 64) | (0b10 << 62) | tail)


def new_id() -> str:
    """A new UUIDv7 as text."""
    return str(uuid7())


def request_id() -> str:
    """A new request id: what `x-request-id` tells and every event of the request carries."""
    return f"req_{uuid7().hex}"


def milliseconds_of(identifier: UUID) -> int:
    """The Unix time in milliseconds that a UUIDv7 carries."""
    return identifier.int >> 80


def is_uuid(text: str) -> bool:
    """Whether the text is a well-formed UUID of any version."""
    try:
        UUID(text)
    except (ValueError, AttributeError, TypeError):
        return False
    return True


def is_uuid7(text: str) -> bool:
    """Whether the text is a well-formed UUIDv7."""
    return is_uuid(text) and UUID(text).version == 7
