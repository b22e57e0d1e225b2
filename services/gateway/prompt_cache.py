"""Answers replayed for an equal question: opt-in, per caller, for models of the configured protocols.

As in the seed, the last messages decide; made safe, the key also covers the caller, the user, the model, the system
prompt, the
tools and every other parameter, by SHA-256. Only complete text answers are kept: no tool calls, no truncation, no
error.
"""

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from services.gateway import metrics, replay
from services.gateway.answers import PassedOn, WholeAnswer
from services.gateway.transcript import Transcript
from shared import clock, ids
from shared.cache import Cache
from shared.config import LiveConfig
from shared.errors import CacheUnavailable
from shared.messages.gateway import Answer, Answerer, Call, Ending
from shared.messages.router import AttemptEnded
from shared.spool import Spool
from shared.wire.json_text import decode_exactly
from shared.wire.usage import TokenUsage

HEADER = "x-tollway-cache"
# What a request says about how, not what: it does not change the answer.
_NOT_COVERED = ("messages", "stream", "stream_options", "metadata", "user", "prompt_cache_key", "safety_identifier")
_SYSTEM = ("system", "developer")


class Kept(msgspec.Struct, frozen=True):
    """A stored answer: the complete body in the dialect it was asked in, and who gave it."""

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

    def covers(self, call: Call) -> bool:
        """Whether a call's model speaks only protocols that are cached."""
        config = self._config.current
        model = config.models.get(call.model)
        if call.operation != "chat" or model is None:
            return False
        known = [config.providers.get(target.provider) for target in model.targets]
        return all(provider is not None and provider.protocol in config.cache.protocols for provider in known)

    def key_of(self, call: Call, scope: str) -> str | None:
        """The name under which a call's answer is kept; None for what is never cached."""
        body = decode_exactly(call.body)
        messages = body.get("messages")
        if not isinstance(messages, list) or body.get("n") not in (None, 1):
            return None
        leading = [message for message in messages if message.get("role") in _SYSTEM]
        covered = {
            "scope": [scope, call.named.user_id, call.dialect, call.model],
            "last": messages[-self._config.current.cache.last_messages :],
            "system": leading,
            "rest": {name: value for name, value in body.items() if name not in _NOT_COVERED},
            "beta": call.headers.get("anthropic-beta"),
        }
        encoded = msgspec.json.Encoder(order="deterministic").encode(covered)
        return "tollway:prompt:" + hashlib.sha256(encoded).hexdigest()

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
        key = self._cache.key_of(call, self._scope) if self._cache.covers(call) else None
        if key is None:
            return PassedOn(await self._inner.call(call), {HEADER: "off"})
        kept = await self._cache.find(key)
        if kept is not None:
            metrics.PROMPT_CACHE.labels("hit").inc()
            self._cache.book(call, kept)
            return _replayed(call, kept)
        metrics.PROMPT_CACHE.labels("miss").inc()
        answer = PassedOn(await self._inner.call(call), {HEADER: "miss"})
        return _Keeping(answer, call, self._cache, key) if answer.status == 200 else answer


def _replayed(call: Call, kept: Kept) -> Answer:
    headers = {
        HEADER: "hit",
        "x-tollway-model": kept.model,
        "x-tollway-provider": kept.provider,
        "x-tollway-attempts": "0",
    }
    message: dict[str, Any] = decode_exactly(kept.body)
    ending = Ending(attempts=0, usage=kept.usage)
    if not call.stream:
        return WholeAnswer(200, {**headers, "content-type": "application/json"}, [kept.body], ending)
    pieces = replay.stream_of(message, call.dialect, include_usage=call.include_usage)
    return WholeAnswer(200, {**headers, "content-type": "text/event-stream; charset=utf-8"}, pieces, ending)


class _Keeping(PassedOn):
    """An answer that is kept when it ends well."""

    def __init__(self, inner: Answer, call: Call, cache: PromptCache, key: str) -> None:
        super().__init__(inner, {})
        self._call = call
        self._cache = cache
        self._key = key

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        """The inner answer's; listened to."""
        return self._listened()

    async def _listened(self) -> AsyncIterator[bytes]:
        transcript = Transcript(self._call.dialect, stream=self._call.stream)
        async for chunk in self._inner.chunks:
            transcript.feed(chunk)
            yield chunk
        ending = self._inner.ending
        if ending is not None and ending.status == "ok":
            body = transcript.answer()
            if body is not None and replay.replayable(body, self._call.dialect):
                await self._cache.keep(self._key, self._kept(body, ending))

    def _kept(self, body: dict[str, Any], ending: Ending) -> Kept:
        return Kept(
            body=msgspec.json.encode(body),
            model=self.headers.get("x-tollway-model", self._call.model),
            provider=self.headers.get("x-tollway-provider", ""),
            usage=ending.usage or TokenUsage(),
        )
