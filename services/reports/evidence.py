"""The evidence of one report: a zip with every body as it was fetched and a manifest, enough to make the same bytes.

What a report has beside those bodies is in the manifest: the moment it was asked for, the sources that gave nothing,
and the insight as it was written. Bodies are the providers' own and may not be passed on: the file is its owner's.
"""

import io
import os
import zipfile
import zlib
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from services.reports.insight.claims import Insight
from services.reports.sources.base import Finding, Heard
from services.reports.sources.tape import Playback, unpacked
from shared.clock import from_unix

FORMAT = 1
MANIFEST = "manifest.json"
MOST_BYTES = 512 << 20
# The oldest time a zip can say: the same evidence is the same file.
NO_TIME = (1980, 1, 1, 0, 0, 0)
# What a damaged, cut or locked zip raises.
UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)


class EvidenceError(Exception):
    """This is not a bundle of evidence that can be read."""


class Entry(msgspec.Struct, frozen=True):
    """One question: the file that holds its answer, or the reason why there is none."""

    source: str
    path: str
    url: str
    fetched_at: str
    name: str | None = None
    sha256: str | None = None
    reason: str | None = None


class Settled(msgspec.Struct, frozen=True):
    """What one source came to."""

    source: str
    status: str
    reason: str | None = None


class Manifest(msgspec.Struct, frozen=True):
    """All that is not a body."""

    format: int
    version: str
    request: dict[str, Any]
    as_of_ms: int
    sources: list[Settled]
    files: list[Entry]
    insight: Insight
    reports: dict[str, str]


class Bundle(msgspec.Struct, frozen=True):
    """A bundle as it was read: nothing in it is taken for true before `differing` is empty."""

    manifest: Manifest
    bodies: dict[str, bytes | None]

    def differing(self) -> list[str]:
        """Names of files that are not what the manifest says: changed, unreadable, missing or not told of."""
        told = {entry.name: entry.sha256 for entry in self.manifest.files if entry.name is not None}
        names = sorted(told.keys() | self.bodies.keys())
        return [name for name in names if told.get(name) != _digest(self.bodies.get(name))]

    def playback(self) -> Playback:
        heard = [
            Heard(
                entry.source,
                entry.path,
                entry.url,
                datetime.fromisoformat(entry.fetched_at).timestamp(),
                self.bodies.get(entry.name or ""),
                entry.reason,
            )
            for entry in self.manifest.files
        ]
        return Playback(heard, [Finding(said.source, said.status, {}, said.reason) for said in self.manifest.sources])


def merged(*kept: bytes) -> list[Heard]:
    """What was heard in one stage after the other: of two answers to one question the later was used."""
    heard = {(said.source, said.path): said for one in kept for said in unpacked(one)}
    return [heard[question] for question in sorted(heard)]


def collect(
    request: dict[str, Any],
    as_of_ms: int,
    findings: list[Finding],
    heard: list[Heard],
    insight: Insight,
    reports: Mapping[str, str],
) -> Bundle:
    """The evidence of a report that was just made; `reports` are the hashes of its files."""
    bodies: dict[str, bytes | None] = {}
    files = []
    for number, said in enumerate(heard, 1):
        name = None if said.body is None else f"bodies/{number:02}-{said.source}"
        if name is not None:
            bodies[name] = said.body
        fetched = _stamp(said.fetched_at)
        files.append(Entry(said.source, said.path, said.url, fetched, name, _digest(said.body), said.reason))
    manifest = Manifest(
        FORMAT,
        version(),
        request,
        as_of_ms,
        [Settled(finding.source, finding.status, finding.reason) for finding in findings],
        files,
        insight,
        dict(sorted(reports.items())),
    )
    return Bundle(manifest, bodies)


def pack(bundle: Bundle) -> bytes:
    """The file: the same evidence is the same bytes."""
    listed = {MANIFEST: msgspec.json.format(msgspec.json.encode(bundle.manifest), indent=1), **bundle.bodies}
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, body in sorted(listed.items()):
            entry = zipfile.ZipInfo(name, NO_TIME)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
            packed.writestr(entry, body or b"")
    return written.getvalue()


def write(packed: bytes, target: Path) -> None:
    """Readable by its owner alone."""
    # A file that is already there would keep the mode it has.
    target.unlink(missing_ok=True)
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(packed)


def read(path: Path) -> Bundle:
    """What lies in the file; raises EvidenceError, or OSError where there is none."""
    try:
        with zipfile.ZipFile(path) as packed:
            if sum(entry.file_size for entry in packed.infolist()) > MOST_BYTES:
                raise EvidenceError(f"{path} unpacks to more than {MOST_BYTES} bytes")
            manifest = msgspec.json.decode(packed.read(MANIFEST), type=Manifest)
            bodies = {name: _unpacked(packed, name) for name in packed.namelist() if name != MANIFEST}
    except (*UNREADABLE, KeyError, msgspec.MsgspecError) as error:
        raise EvidenceError(f"{path} is no evidence bundle: {error}") from error
    if manifest.format != FORMAT:
        raise EvidenceError(f"{path} has format {manifest.format}; this program reads {FORMAT}")
    return Bundle(manifest, bodies)


@lru_cache(maxsize=1)
def version() -> str:
    """Of the code that makes reports, by its bytes: the package has one number for many changes, an image has none."""
    root, digest = Path(__file__).parent, sha256()
    for path in sorted(path for path in root.rglob("*") if path.is_file() and path.suffix != ".pyc"):
        digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def _unpacked(packed: zipfile.ZipFile, name: str) -> bytes | None:
    try:
        return packed.read(name)
    except UNREADABLE:
        return None


def _digest(body: bytes | None) -> str | None:
    return None if body is None else sha256(body).hexdigest()


def _stamp(seconds: float) -> str:
    return from_unix(seconds).isoformat(timespec="milliseconds")
