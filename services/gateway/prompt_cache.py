"""Answers replayed for an equal question: opt-in, per caller, for models of the configured protocols.

As in the seed, the last messages decide; made safe, the key also covers the caller, the user, the model, the system
prompt, the tools and every other parameter, by SHA-256. Only complete text answers of the model that was asked are
kept: no tool calls, no truncation, no error, nothing of a fallback.
"""

import hashlib
from typing import Any

import msgspec

from services.gateway import metrics, replay
from services.gateway.answers import PassedOn, WholeAnswer
from services.gateway.prompt_question import question
from services.gateway.transcript import Heard
from shared import clock, ids
from shared.cache import Cache
from shared.config import LiveConfig
from shared.errors import CacheUnavailable
from shared.messages.gateway import Answer, Answerer, Call, Dialect, Ending
from shared.messages.router import AttemptEnded
from shared.spool import Spool
from shared.wire.json_text import decode_exactly, encode
from shared.wire.usage import TokenUsage

HEADER = "x-tollway-cache"


class Kept(msgspec.Struct, frozen=True):
    """A stored answer: the complete body in the dialect it was asked in, and who gave it."""

    dialect: Dialect
    body: bytes
    model: str
    provider: str
    usage: TokenUsage


class PromptCache:
    """Stands before an answerer and spares it the questions it has answered."""

    def __init__(self, cache: Cache, spool: Spool, config: LiveConfig) -> None:
        self._cache = cache
        self._spool = spool
        self._config = config

    def before(self, answerer: Answerer, scope: str) -> Answerer:
        """The answerer with the cache before it, if there is one."""
        return _Cached(self, answerer, scope) if self._config.current.cache.enabled else answerer

    def native_dialect(self, call: Call) -> Dialect | None:
        """The dialect the question is told in; None when the model speaks a protocol that is not cached."""
        config = self._config.current
        model = config.models.get(call.model)
        if call.operation != "chat" or model is None:
            return None
        known = [config.providers.get(target.provider) for target in model.targets]
        spoken = {provider.protocol for provider in known if provider is not None}
        cached = [protocol for protocol in config.cache.protocols if protocol in spoken]
        if None in known or len(cached) < len(spoken):
            return None
        # Targets of both protocols do not understand the same of a question: each dialect has answers of its own.
        return cached[0] if len(cached) == 1 else call.dialect

    def key_of(self, call: Call, scope: str) -> str | None:
        """The name under which a call's answer is kept; None for what is never cached."""
        native = self.native_dialect(call)
        asked = native and question(call.body, call.dialect, native, self._config.current.cache.last_messages)
        if not asked:
            return None
        covered = {
            "scope": [scope, call.named.user_id, native, call.model],
            "question": asked,
            "beta": call.headers.get("anthropic-beta"),
        }
        encoded = msgspec.json.Encoder(order="deterministic").encode(covered)
        return "tollway:prompt:" + hashlib.sha256(encoded).hexdigest()

    def is_asked(self, call: Call, provider: str | None, model: str | None) -> bool:
        """Whether an answer came from the model that was asked, not from a fallback."""
        asked = self._config.current.models.get(call.model)
        return asked is not None and any((to.provider, to.model) == (provider, model) for to in asked.targets)

    async def find(self, key: str) -> Kept | None:
        """A kept answer; while the cache is away there is none."""
        try:
            stored = await self._cache.get(key)
        except CacheUnavailable:
            return None
        try:
            return None if stored is None else msgspec.msgpack.decode(stored, type=Kept)
        except msgspec.MsgspecError:
            return None

    async def keep(self, key: str, kept: Kept) -> None:
        """Keep an answer for the configured time."""
        try:
            ttl = self._config.current.cache.ttl_seconds
            await self._cache.set(key, msgspec.msgpack.encode(kept), ttl_seconds=ttl)
        except CacheUnavailable:
            return

    def book(self, call: Call, kept: Kept) -> None:
        """Tell the ledger of a hit: it cost nothing and asked nobody."""
        self._spool.end(
            AttemptEnded(
                event_id=ids.new_id(),
                request_id=call.request_id,
                attempt=call.first_attempt,
                timestamp=clock.now(),
                kind="cache",
                named=call.named,
                provider=kept.provider,
                model=kept.model,
                requested_model=call.model,
                usage=kept.usage,
                usage_source="provider",
                duration_ms=0.0,
                cost="0",
                currency=self._config.current.usage.currency,
                traceparent=call.traceparent,
            )
        )


class _Cached:
    """One caller's answerer with the cache before it."""

    def __init__(self, cache: PromptCache, inner: Answerer, scope: str) -> None:
        self._cache = cache
        self._inner = inner
        self._scope = scope

    async def call(self, call: Call) -> Answer:
        """A kept answer, or the inner one's, which may be kept."""
        key = self._cache.key_of(call, self._scope)
        if key is None:
            return PassedOn(await self._inner.call(call), {HEADER: "off"})
        kept = await self._cache.find(key)
        message = None if kept is None else replay.told_in(call.dialect, decode_exactly(kept.body), kept.dialect)
        if kept is not None and message is not None:
            metrics.PROMPT_CACHE.labels("hit").inc()
            self._cache.book(call, kept)
            return _replayed(call, kept, message)
        metrics.PROMPT_CACHE.labels("miss").inc()
        answer = await self._inner.call(call)
        return _Keeping(answer, call, self._cache, key) if answer.status == 200 else PassedOn(answer, {HEADER: "miss"})


def _replayed(call: Call, kept: Kept, message: dict[str, Any]) -> Answer:
    headers = {
        HEADER: "hit",
        "x-tollway-model": kept.model,
        "x-tollway-provider": kept.provider,
        "x-tollway-attempts": "0",
    }
    ending = Ending(attempts=0, usage=kept.usage)
    if not call.stream:
        return WholeAnswer(200, {**headers, "content-type": "application/json"}, [encode(message)], ending)
    pieces = replay.stream_of(message, call.dialect, include_usage=call.include_usage)
    return WholeAnswer(200, {**headers, "content-type": "text/event-stream; charset=utf-8"}, pieces, ending)


class _Keeping(Heard):
    """An answer that is kept when it ends well."""

    def __init__(self, inner: Answer, call: Call, cache: PromptCache, key: str) -> None:
        super().__init__(inner, {HEADER: "miss"}, call)
        self._cache = cache
        self._key = key

    async def _heard(self, ending: Ending | None) -> None:
        model, provider = self.headers.get("x-tollway-model"), self.headers.get("x-tollway-provider")
        if ending is None or ending.status != "ok" or not self._cache.is_asked(self._call, provider, model):
            return
        body, dialect = self._transcript.answer(), self._call.dialect
        if body is not None and replay.replayable(body, dialect):
            kept = Kept(dialect, encode(body), model or "", provider or "", ending.usage or TokenUsage())
            await self._cache.keep(self._key, kept)
