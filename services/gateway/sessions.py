"""Conversations kept for clients: sliding expiry, a bound on their number with the least recently used going first.

Each caller has its own. Requests of one session that run at the same time are merged: each adds its turn behind
what the
others added meanwhile, so nothing is lost and nothing waits. A failed turn saves nothing.
"""

import asyncio
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import msgspec
import structlog

from services.gateway.answers import PassedOn
from services.gateway.history import Continued, History, Message, Said, answered, continued
from services.gateway.transcript import Heard
from shared import clock
from shared.cache import Args, Cache, MemoryView, Script
from shared.config import LiveConfig
from shared.errors import BadRequest, CacheUnavailable
from shared.messages.gateway import Answer, Answerer, Call, Ending
from shared.wire.json_text import decode_exactly, encode
from shared.wire.splice import Members

log = structlog.get_logger(__name__)

HEADER = "x-tollway-session"
RECENCY = "tollway:sessions"
MOST_TRIES = 20

# A history is kept as JSON: msgpack has no room for the long integers, nor for the spelling of decimals.
_decode_history = msgspec.json.Decoder(History, float_hook=msgspec.Raw).decode
_decode_messages = msgspec.json.Decoder(list[Message], float_hook=msgspec.Raw).decode

_COMPARE_LUA = """
local held = redis.call('GET', KEYS[1])
local version = held and string.match(held, '^(%d+)|') or '0'
if version ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""


def _compare(view: MemoryView, keys: Sequence[str], args: Args) -> int:
    held = view.get(keys[0])
    version = held.partition(b"|")[0].decode() if held else "0"
    if version != str(args[0]):
        return 0
    packed: Any = args[1]  # bytes, as Redis takes them too
    view.set(keys[0], packed, ttl_seconds=float(args[2]) / 1000)
    return 1


_SWAP = Script("gateway_session_swap", _COMPARE_LUA, _compare)


class Sessions:
    """Reads, continues and saves histories. While the cache is away, requests go on without them and say so in the
    log.
    """

    def __init__(self, cache: Cache, config: LiveConfig) -> None:
        self._cache = cache
        self._config = config

    def around(self, answerer: Answerer, scope: str, session: str, *, keep_aborted: bool = False) -> Answerer:
        """The answerer with a session's history before it."""
        return _InSession(self, answerer, scope, session, keep_aborted=keep_aborted)

    async def load(self, scope: str, session: str) -> History:
        """The history of a session; an empty one when there is none."""
        try:
            stored = await self._cache.get(_key(scope, session))
        except CacheUnavailable:
            log.warning("session_not_read")
            return History()
        if stored is None:
            return History()
        version, _, kept = stored.partition(b"|")
        return msgspec.structs.replace(_decode_history(kept), version=int(version))

    async def save(
        self, scope: str, session: str, read: History, turn: Continued, call: Call, said: list[Message]
    ) -> None:
        """Add a turn; when others did so meanwhile, it goes behind theirs."""
        new_turns = answered(turn.kept, call.dialect, said)
        own = answered(_asked(turn), call.dialect, said)
        history = History(read.version, call.dialect, turn.kept_system, new_turns)
        try:
            for _ in range(MOST_TRIES):
                if await self._swap(scope, session, history):
                    await self._touch(scope, session)
                    return
                found = await self.load(scope, session)
                history = msgspec.structs.replace(found, turns=(*found.turns, *own))
            log.warning("session_not_saved", reason="contended")
        except CacheUnavailable:
            log.warning("session_not_saved", reason="cache_unavailable")

    async def _swap(self, scope: str, session: str, history: History) -> bool:
        value = f"{history.version + 1}|".encode() + encode(history)
        ttl = int(self._config.current.sessions.ttl_seconds * 1000)
        args: Any = [str(history.version), value, ttl]
        return bool(await self._cache.run(_SWAP, [_key(scope, session)], args))

    async def _touch(self, scope: str, session: str) -> None:
        key = _key(scope, session)
        await self._cache.rank(RECENCY, key, clock.now())
        over = await self._cache.ranked(RECENCY) - self._config.current.sessions.max_sessions
        if over > 0:
            oldest = [member for member, _ in await self._cache.lowest(RECENCY, over)]
            await self._cache.delete(*oldest)
            await self._cache.unrank(RECENCY, *oldest)

    async def seen(self, scope: str, session: str) -> None:
        """A session was used: its expiry slides."""
        try:
            ttl = self._config.current.sessions.ttl_seconds
            if await self._cache.expire(_key(scope, session), ttl):
                await self._cache.rank(RECENCY, _key(scope, session), clock.now())
        except CacheUnavailable:
            return

    async def clean(self) -> None:
        """Forget the expired in the recency index; their histories have gone by themselves."""
        before = clock.now() - self._config.current.sessions.ttl_seconds
        while True:
            batch = await self._cache.lowest(RECENCY, 500)
            gone = [member for member, used in batch if used < before]
            if gone:
                await self._cache.delete(*gone)
                await self._cache.unrank(RECENCY, *gone)
            if len(gone) < 500:
                return

    async def run(self) -> None:
        """Clean now and then until cancelled."""
        while True:
            await asyncio.sleep(self._config.current.sessions.clean_every_seconds)
            try:
                await self.clean()
            except CacheUnavailable:
                log.warning("sessions_not_cleaned")


class _InSession:
    """One caller's answerer within one session."""

    def __init__(self, sessions: Sessions, inner: Answerer, scope: str, session: str, *, keep_aborted: bool) -> None:
        self._sessions = sessions
        self._inner = inner
        self._scope = scope
        self._session = session
        self._keep_aborted = keep_aborted

    async def call(self, call: Call) -> Answer:
        """The answer to the whole conversation; saved when it ends well."""
        read = await self._sessions.load(self._scope, self._session)
        members = Members(call.body)
        messages = _messages(members)
        system = members.raw("system") if call.dialect == "anthropic" else None
        turn = continued(read, call.dialect, messages, None if system is None else decode_exactly(system))
        if read.turns:
            await self._sessions.seen(self._scope, self._session)
            call = msgspec.structs.replace(call, body=_body(members, turn, call))
        answer = await self._inner.call(call)
        headers = header_of(self._session)
        if answer.status != 200:
            return PassedOn(answer, headers)
        return _Remembered(answer, headers, self, read, turn, call)

    async def save(self, read: History, turn: Continued, call: Call, said: list[Message]) -> None:
        """Save a turn of this session."""
        await self._sessions.save(self._scope, self._session, read, turn, call, said)

    @property
    def keeps_aborted(self) -> bool:
        """Whether a turn that was stopped on purpose is kept as far as it came."""
        return self._keep_aborted


class _Remembered(Heard):
    """An answer that is saved before the client can see its end, so that its next request finds it."""

    def __init__(
        self,
        inner: Answer,
        headers: dict[str, str],
        session: _InSession,
        read: History,
        turn: Continued,
        call: Call,
    ) -> None:
        super().__init__(inner, headers, call)
        self._session = session
        self._read = read
        self._turn = turn
        self._saved = False

    async def _heard(self, ending: Ending | None) -> None:
        await self._save(ending, ("ok",))

    async def close(self, status: str = "aborted") -> None:
        """Close the inner answer; a turn stopped on purpose is saved as far as it came."""
        await self._inner.close(status)
        if self._session.keeps_aborted:
            await self._save(self._inner.ending, ("ok", "aborted"))

    async def _save(self, ending: Ending | None, well: tuple[str, ...]) -> None:
        if self._saved or ending is None or ending.status not in well:
            return
        said = ending.transcript
        if said is None:
            message = self._transcript.message()
            said = [] if message is None else [message]
        if said:
            self._saved = True
            await self._session.save(self._read, self._turn, self._call, said)


def header_of(session: str) -> dict[str, str]:
    """The header that tells an answer's session; what a header cannot hold is percent-encoded."""
    return {HEADER: quote(session, safe="!#$&'()*+,/:;=?@[]-._~ ")}


def _key(scope: str, session: str) -> str:
    return f"tollway:session:{scope}:{session}"


def _messages(members: Members) -> list[Message]:
    try:
        return _decode_messages(members.raw("messages") or b"[]")
    except msgspec.ValidationError as error:
        raise BadRequest("'messages' must be an array of objects.", param="messages") from error


def _body(members: Members, turn: Continued, call: Call) -> bytes:
    replaced = {"messages": encode(turn.messages)}
    if call.dialect == "anthropic" and turn.system is not None and "system" not in members:
        replaced["system"] = encode(turn.system)
    return members.spliced(replaced)


def _asked(turn: Continued) -> tuple[Said, ...]:
    """The messages this request brought: the run since the last thing an assistant said."""
    start = len(turn.kept)
    while start and turn.kept[start - 1].message.get("role") != "assistant":
        start -= 1
    return turn.kept[start:]
