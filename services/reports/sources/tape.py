"""What was heard from the providers in one report: noted while it is made, played again to make it once more."""

from collections.abc import Awaitable, Callable, Iterable
from urllib.parse import urlsplit

import msgspec

from services.reports.sources.base import Finding, NotKnownError, SourceError
from services.reports.sources.gather import NAMES, PUBLIC_URLS
from shared import clock
from shared.config.schema import DataSource

NOT_KNOWN = "not_found"
NOT_HEARD = "not_in_evidence"


class Heard(msgspec.Struct, frozen=True):
    """One question and what came of it: a body as it was fetched, or the reason why there was none."""

    source: str
    path: str
    url: str
    fetched_at: float
    body: bytes | None = None
    reason: str | None = None


class Recorder:
    """Lets every question out. The last answer counts: an earlier one only led to the repeat, under another address."""

    def __init__(self) -> None:
        self._heard: dict[tuple[str, str], Heard] = {}

    def settled(self, source: str) -> Finding | None:
        return None

    async def body(self, source: str, base_url: str, path: str, ask: Callable[[], Awaitable[bytes]]) -> bytes:
        body, reason = None, None
        try:
            body = await ask()
        except SourceError as error:
            reason = error.reason
            raise
        finally:
            # An ask that was cancelled belongs to a source that failed as a whole, and is settled by that.
            if body is not None or reason is not None:
                said = Heard(source, path, public(base_url) + path, clock.now(), body, reason)
                self._heard[(source, path)] = said
        return body

    def heard(self) -> list[Heard]:
        return [self._heard[key] for key in sorted(self._heard)]


class Playback:
    """Answers every question from what was heard; nothing goes out."""

    def __init__(self, heard: Iterable[Heard], findings: Iterable[Finding]) -> None:
        self._heard = {(said.source, said.path): said for said in heard}
        # Without data a finding is its status and reason, some of which only time or the configuration knew.
        self._settled = {finding.source: finding for finding in findings if finding.status != "ok"}

    def settled(self, source: str) -> Finding | None:
        return self._settled.get(source)

    async def body(self, source: str, base_url: str, path: str, ask: Callable[[], Awaitable[bytes]]) -> bytes:
        said = self._heard.get((source, path))
        if said is None:
            raise SourceError(NOT_HEARD)
        if said.body is not None:
            return said.body
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
