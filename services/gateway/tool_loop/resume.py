"""Turns that called both kinds of tools: what the client did not see is kept, and put back when it returns."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from services.gateway.tool_loop.dialect import DIALECTS
from shared.cache import Cache
from shared.config import LiveConfig
from shared.errors import CacheUnavailable
from shared.messages.gateway import Call, Dialect
from shared.wire.anthropic import blocks_of
from shared.wire.json_text import decode_exactly, encode
from shared.wire.splice import Members

MOST_TURNS = 32
_MARKS: dict[Dialect, bytes] = {"openai": b'"tool_call_id"', "anthropic": b'"tool_use_id"'}


class Kept(msgspec.Struct, frozen=True):
    """A mixed turn: all messages behind what the client saw, the last one with the calls; and our results of it."""

    messages: list[dict[str, Any]]
    results: list[dict[str, Any]]


class Resumption:
    """Keeps mixed turns by scope and the client's call ids."""

    def __init__(self, cache: Cache, config: LiveConfig) -> None:
        self._cache = cache
        self._config = config

    async def keep(self, scope: str, call_ids: Sequence[str], kept: Kept) -> None:
        """Keep a turn until the client returns; raises CacheUnavailable."""
        body, seconds = encode(kept), self._config.current.sessions.ttl_seconds
        for call_id in call_ids:
            await self._cache.set(_key(scope, call_id), body, ttl_seconds=seconds)

    async def restored(self, call: Call, scope: str, *, everywhere: bool) -> Call:
        """The call with the kept turns put back; `everywhere`, or only where the client now returns with results."""
        if _MARKS[call.dialect] not in call.body or call.operation != "chat":
            return call
        members = Members(call.body)
        raw = members.raw("messages") or b"[]"
        messages = msgspec.json.decode(raw, type=list[msgspec.Raw])
        found = await self._found(call.dialect, scope, _turns(messages, call.dialect, everywhere=everywhere))
        if not found:
            return call
        whole: list[Any] = list(messages)
        for index, kept in sorted(found.items(), reverse=True):
            _put_back(call.dialect, whole, index, kept)
        body = members.spliced({"messages": encode(whole)})
        return msgspec.structs.replace(call, body=body)

    async def _found(self, dialect: Dialect, scope: str, turns: dict[int, str]) -> dict[int, Kept]:
        del dialect
        try:
            bodies = await asyncio.gather(*(self._cache.get(_key(scope, call_id)) for call_id in turns.values()))
            found = {
                index: msgspec.json.decode(body, type=Kept)
                for index, body in zip(turns, bodies, strict=True)
                if body is not None
            }
            seconds = self._config.current.sessions.ttl_seconds
            await asyncio.gather(*(self._cache.expire(_key(scope, turns[index]), seconds) for index in found))
        except CacheUnavailable:
            return {}
        return found


def _key(scope: str, call_id: str) -> str:
    return f"tools:turn:{scope}:{call_id}"


def _turns(messages: Sequence[msgspec.Raw], dialect: Dialect, *, everywhere: bool) -> dict[int, str]:
    """Where the assistant called tools, and the id of the first call there; the newest first."""
    mark = b'"tool_calls"' if dialect == "openai" else b'"tool_use"'
    found: dict[int, str] = {}
    for index in range(len(messages) - 1, -1, -1):
        raw = bytes(messages[index])
        if mark not in raw:
            continue
        message = decode_exactly(raw)
        if not isinstance(message, dict) or message.get("role") != "assistant":
            continue
        calls = DIALECTS[dialect].calls_of(message)
        if calls and calls[0].id:
            found[index] = calls[0].id
        if not everywhere or len(found) >= MOST_TURNS:
            break
    return found


def _put_back(dialect: Dialect, messages: list[Any], index: int, kept: Kept) -> None:
    if dialect == "openai":
        _put_back_openai(messages, index, kept)
    else:
        _put_back_anthropic(messages, index, kept)


def _put_back_openai(messages: list[Any], index: int, kept: Kept) -> None:
    end = index + 1
    given: list[dict[str, Any]] = []
    while end < len(messages) and (message := _decoded(messages[end])).get("role") == "tool":
        given.append(message)
        end += 1
    ours = [message for message in kept.results if message.get("role") == "tool"]
    images = [message for message in kept.results if message.get("role") != "tool"]
    by_id = {message.get("tool_call_id"): message for message in [*ours, *given]}
    order = [call.id for call in DIALECTS["openai"].calls_of(kept.messages[-1])]
    results = [by_id.pop(call_id) for call_id in order if call_id in by_id]
    messages[index:end] = [*kept.messages, *results, *by_id.values(), *images]


def _put_back_anthropic(messages: list[Any], index: int, kept: Kept) -> None:
    following = _decoded(messages[index + 1]) if index + 1 < len(messages) else {}
    blocks = blocks_of(following) if following.get("role") == "user" else []
    given = [block for block in blocks if block.get("type") == "tool_result"]
    others = [block for block in blocks if block.get("type") != "tool_result"]
    by_id = {block.get("tool_use_id"): block for block in [*kept.results, *given]}
    order = [call.id for call in DIALECTS["anthropic"].calls_of(kept.messages[-1])]
    results = [by_id.pop(call_id) for call_id in order if call_id in by_id]
    answer = {**following, "role": "user", "content": [*results, *by_id.values(), *others]}
    messages[index : index + (2 if blocks else 1)] = [*kept.messages, answer]


def _decoded(message: Any) -> dict[str, Any]:
    value = decode_exactly(message) if isinstance(message, msgspec.Raw) else message
    return value if isinstance(value, dict) else {}
