"""What all data providers share: a finding with its status and reason, and a polite, bounded way to ask."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlencode

import msgspec

from services.reports.chains import Chain
from shared import clock

ATTEMPTS = 3
LONGEST_PAUSE_SECONDS = 5.0
TROUBLE_LIMIT = 5
TROUBLE_PAUSE_SECONDS = 30.0
CACHE_SECONDS = 300
BODY_BYTES = 8 * 1024 * 1024


class Subject(msgspec.Struct, frozen=True):
    """The token a report is about, as every source is asked for it."""

    token: str
    address: str
    chain: Chain
    now_ms: int


class Finding(msgspec.Struct, frozen=True):
    """What one source said. `ok`: data; `unknown`: it does not know the token; `failed`: see the reason."""

    source: str
    status: str
    data: dict[str, Any] = {}
    reason: str | None = None
    as_of: str | None = None
    endpoints: list[str] = []


class SourceError(Exception):
    """A source gave no usable answer; the reason is a short code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotKnownError(SourceError):
    """The source answered, and does not know this token."""

    def __init__(self) -> None:
        super().__init__("not_found")


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport(Protocol):
    """One GET with a deadline and a body cap; raises SourceError when no answer came."""

    async def get(self, url: str, *, headers: Mapping[str, str], timeout_seconds: float, max_bytes: int) -> Answer: ...


class Fetched(msgspec.Struct, frozen=True):
    """A body and when it came from its provider, which may be some reports ago."""

    body: bytes
    at: float
    fresh: bool = False


class Cache(Protocol):
    """Bodies by address, without secrets in the key."""

    async def get(self, key: str) -> Fetched | None: ...

    async def put(self, key: str, fetched: Fetched, ttl_seconds: int) -> None: ...


class Source(Protocol):
    """One provider: asked once per report, never raises anything but SourceError."""

    name: str

    async def gather(self, subject: Subject) -> Finding: ...


class Heard(msgspec.Struct, frozen=True):
    """One question and what came of it: a body as it was fetched, or the reason why there was none."""

    source: str
    path: str
    url: str
    fetched_at: float
    body: bytes | None = None
    reason: str | None = None


Ask = Callable[[], Awaitable[Fetched]]


class Tape(Protocol):
    """Stands between the sources and the network in one report, to note what was heard or to play it again."""

    def settled(self, source: str) -> Finding | None:
        """What the source came to, where that is known without asking it."""

    def heard(self) -> list[Heard]:
        """All that was, in an order of its own."""

    async def body(self, source: str, base_url: str, path: str, ask: Ask) -> Fetched:
        """What `ask` brings, or brought; `path` has its query and no secrets. Raises SourceError."""


class Live:
    """Every question goes out, nothing is noted."""

    def settled(self, source: str) -> Finding | None:
        return None

    def heard(self) -> list[Heard]:
        return []

    async def body(self, source: str, base_url: str, path: str, ask: Ask) -> Fetched:
        return await ask()


@dataclass(slots=True)
class Pace:
    """A token bucket and a breaker for one host."""

    per_second: float
    clock: Callable[[], float]
    burst: float = 3.0
    tokens: float = 3.0
    seen: float = 0.0
    troubles: int = 0
    closed_until: float = 0.0

    def wait_seconds(self) -> float:
        """Takes one token and says how long to wait before using it."""
        now = self.clock()
        self.tokens = min(self.burst, self.tokens + (now - self.seen) * self.per_second)
        self.seen = now
        self.tokens -= 1
        return max(0.0, -self.tokens / self.per_second)

    def is_closed(self) -> bool:
        return self.clock() < self.closed_until

    def note(self, *, good: bool) -> None:
        self.troubles = 0 if good else self.troubles + 1
        if self.troubles >= TROUBLE_LIMIT:
            self.closed_until = self.clock() + TROUBLE_PAUSE_SECONDS
            self.troubles = 0


class Turns(Protocol):
    """Keeps the pace of a provider over all processes that ask it."""

    async def wait_seconds(self, name: str, per_second: float, burst: float) -> float: ...


class Alone:
    """Nobody else asks."""

    async def wait_seconds(self, name: str, per_second: float, burst: float) -> float:
        return 0.0


@dataclass(slots=True)
class Asker:
    """Asks one provider for JSON: paced, retried, cached, capped."""

    name: str
    base_url: str
    transport: Transport
    cache: Cache
    pace: Pace
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    headers: Mapping[str, str] = field(default_factory=dict)
    secret_query: Mapping[str, str] = field(default_factory=dict)
    timeout_seconds: float = 10.0
    max_bytes: int = BODY_BYTES
    tape: Tape = field(default_factory=Live)
    turns: Turns = field(default_factory=Alone)

    async def json(self, path: str, query: Mapping[str, Any] | None = None, base_url: str = "") -> Any:
        base = (base_url or self.base_url).rstrip("/")
        asked = f"{path}?{urlencode(query)}" if query else path
        address = f"{base}{asked}"
        whole = {**(query or {}), **self.secret_query}

        async def ask() -> Fetched:
            kept = await self.cache.get(address)
            return kept or Fetched(await self._ask(f"{base}{path}", whole), clock.now(), fresh=True)

        fetched = await self.tape.body(self.name, base, asked, ask)
        try:
            # A body of several megabytes takes long enough to decode to stall the loop.
            decoded = await asyncio.to_thread(msgspec.json.decode, fetched.body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise SourceError("bad_answer") from error
        if fetched.fresh:
            await self.cache.put(address, fetched, CACHE_SECONDS)
        return decoded

    async def _ask(self, plain: str, query: Mapping[str, Any]) -> bytes:
        address = f"{plain}?{urlencode(query)}" if query else plain
        reason = "unreachable"
        for attempt in range(ATTEMPTS):
            if self.pace.is_closed():
                raise SourceError(reason if attempt else "left_alone")
            others = await self.turns.wait_seconds(self.name, self.pace.per_second, self.pace.burst)
            await self.sleep(max(self.pace.wait_seconds(), others))
            pause = 0.25 * 2**attempt * (1 + random.random())
            try:
                answer = await self.transport.get(
                    address,
                    headers=self.headers,
                    timeout_seconds=self.timeout_seconds,
                    max_bytes=self.max_bytes,
                )
            except SourceError as error:
                reason = error.reason
                self.pace.note(good=reason == "too_large")  # who says too much is there
                if reason in ("too_large", "timeout"):
                    break
            else:
                if answer.status == 200:
                    self.pace.note(good=True)
                    return answer.body
                reason, asked = self._refusal(answer)
                if asked is not None and asked > LONGEST_PAUSE_SECONDS:
                    break
                pause = asked if asked is not None else pause
            if attempt + 1 < ATTEMPTS:
                await self.sleep(pause)
        raise SourceError(reason)

    def _refusal(self, answer: Answer) -> tuple[str, float | None]:
        """Why there is no data, and the pause asked for; raises where a retry cannot help."""
        if answer.status in (400, 404, 410, 422):
            self.pace.note(good=True)
            raise NotKnownError
        if answer.status in (401, 403):
            raise SourceError("refused")
        self.pace.note(good=False)
        if answer.status == 429:
            return "rate_limited", _seconds(answer.headers.get("retry-after"))
        if answer.status >= 500:
            return f"server_error_{answer.status}", _seconds(answer.headers.get("retry-after"))
        reason = f"unexpected_status_{answer.status}"
        raise SourceError(reason)


def _seconds(value: str | None) -> float | None:
    try:
        return max(0.0, float(value)) if value else None
    except ValueError:
        return None
