"""What was heard from the providers in one report: noted while it is made, played again to make it once more."""

import zlib
from collections.abc import Iterable
from urllib.parse import urlsplit

import msgspec

from services.reports.sources.base import Ask, Fetched, Finding, Heard, NotKnownError, SourceError
from services.reports.sources.gather import NAMES, PUBLIC_URLS
from shared import clock
from shared.config.schema import DataSource

NOT_KNOWN = "not_found"
NOT_HEARD = "not_in_evidence"


class Recorder:
    """Lets every question out. The last answer counts: an earlier one only led to the repeat, under another address."""

    def __init__(self) -> None:
        self._heard: dict[tuple[str, str], Heard] = {}

    def settled(self, source: str) -> Finding | None:
        return None

    async def body(self, source: str, base_url: str, path: str, ask: Ask) -> Fetched:
        # An ask that was cancelled belongs to a source that failed as a whole, and is settled by that.
        url = public(base_url) + path
        try:
            fetched = await ask()
        except SourceError as error:
            self._heard[(source, path)] = Heard(source, path, url, clock.now(), None, error.reason)
            raise
        self._heard[(source, path)] = Heard(source, path, url, fetched.at, fetched.body)
        return fetched

    def heard(self) -> list[Heard]:
        return [self._heard[key] for key in sorted(self._heard)]


def packed(heard: list[Heard]) -> bytes:
    """As it is kept beside a stage's result: bodies of several megabytes shrink to a tenth."""
    return zlib.compress(msgspec.msgpack.encode(heard))


def unpacked(kept: bytes) -> list[Heard]:
    return msgspec.msgpack.decode(zlib.decompress(kept), type=list[Heard])


class Playback:
    """Answers every question from what was heard; nothing goes out."""

    def __init__(self, heard: Iterable[Heard], findings: Iterable[Finding]) -> None:
        self._heard = {(said.source, said.path): said for said in heard}
        # Without data a finding is its status and reason, some of which only time or the configuration knew.
        self._settled = {finding.source: finding for finding in findings if finding.status != "ok"}

    def settled(self, source: str) -> Finding | None:
        return self._settled.get(source)

    def heard(self) -> list[Heard]:
        return [self._heard[key] for key in sorted(self._heard)]

    async def body(self, source: str, base_url: str, path: str, ask: Ask) -> Fetched:
        said = self._heard.get((source, path))
        if said is None:
            raise SourceError(NOT_HEARD)
        if said.body is not None:
            return Fetched(said.body, said.fetched_at)
        raise NotKnownError if said.reason == NOT_KNOWN else SourceError(said.reason or NOT_HEARD)


def public(base_url: str) -> str:
    """A base address that may be shown: a configured one can have a key in its path or before its host."""
    if base_url in PUBLIC_URLS:
        return base_url
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" + ("/…" if parts.path.strip("/") else "")


def every_source() -> dict[str, DataSource]:
    """Settings with which each source asks: a key that is never sent, for the one that needs any."""
    return {name: DataSource(api_key="unused") for name in NAMES}
