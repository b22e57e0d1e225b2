"""The spool's file format: numbered segments of checksummed records, appended, read back up to the first tear."""

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_HEADER = struct.Struct("<IIB")  # length, checksum, kind
SUFFIX = ".log"


@dataclass(frozen=True)
class Record:
    """One record and where it ends in its segment."""

    kind: int
    body: bytes
    end: int


def pack(kind: int, body: bytes) -> bytes:
    """A record as bytes."""
    return _HEADER.pack(len(body), zlib.crc32(body, kind), kind) + body


def read(path: Path, start: int = 0) -> Iterator[Record]:
    """The whole records of a segment from an offset on; a torn or damaged tail ends it."""
    with path.open("rb") as file:
        file.seek(start)
        at = start
        while len(header := file.read(_HEADER.size)) == _HEADER.size:
            length, checksum, kind = _HEADER.unpack(header)
            body = file.read(length)
            if len(body) < length or zlib.crc32(body, kind) != checksum:
                return
            at += _HEADER.size + length
            yield Record(kind, body, at)


def segments(folder: Path) -> list[Path]:
    """The segments of a spool, oldest first."""
    return sorted(folder.glob(f"*{SUFFIX}"))


class SegmentWriter:
    """Appends records to the newest segment and begins another when it is large enough."""

    def __init__(self, folder: Path, first: int, segment_bytes: int) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self.number = first
        self.written = 0
        self._file = self._open()

    @property
    def path(self) -> Path:
        """The segment being written."""
        return self._folder / f"{self.number:010d}{SUFFIX}"

    @property
    def full(self) -> bool:
        """Whether the next record belongs into another segment."""
        return self.written >= self._segment_bytes

    def append(self, data: bytes) -> None:
        """Hand the bytes to the operating system: they outlive this process from here on."""
        os.write(self._file, data)
        self.written += len(data)

    def rotate(self) -> None:
        """Begin the next segment."""
        os.close(self._file)
        self.number += 1
        self.written = 0
        self._file = self._open()

    def sync(self) -> None:
        """Have what was written outlive the machine, too."""
        os.fdatasync(self._file)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
