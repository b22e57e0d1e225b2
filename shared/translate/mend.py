"""OpenAI chunks with the mistakes that real clients trip over taken out, the rest untouched.

A repeated role or tool name is added up by clients, a null member of a delta, a missing index or arguments that never
come make them fail, and a tool call under the finish `stop` is never run. Only the members concerned are written anew.
"""

from typing import Any

import msgspec

from shared.wire.call_tracker import CallTracker
from shared.wire.frames import Choice, Chunk, FunctionDelta, ToolCallDelta
from shared.wire.json_text import encode

_raw_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_raw_objects = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode
_members = msgspec.structs.astuple
_NULL = b"null"
_NOTHING = FunctionDelta()
_UNSET = msgspec.UNSET

RawObject = dict[str, msgspec.Raw]


class _Plan(msgspec.Struct):
    """What one choice of a chunk needs."""

    calls: list[tuple[int, bool]]
    bare: list[int]
    role: msgspec.Raw | None
    finish: bool


class _Choice:
    """What has been told of a choice."""

    __slots__ = ("calls", "has_role")

    def __init__(self) -> None:
        self.has_role = False
        self.calls = CallTracker()


class ChunkMender:
    """Mends the chunks of one stream, in order."""

    def __init__(self) -> None:
        self._known: dict[int, _Choice] = {}

    def mend(self, data: bytes, chunk: Chunk) -> bytes | None:
        """The chunk as clients can read it; None when it is sound, as nearly all are."""
        plans = []
        sound = True
        for choice in chunk.choices or ():
            known = self._known.get(choice.number)
            if known is None:
                known = self._known[choice.number] = _Choice()
            plan = _Plan([], [], None, finish=False)
            sound = _look(choice, known, plan) and sound
            plans.append(plan)
        if sound:
            return None
        try:
            return _rewritten(data, plans, chunk.id)
        except (msgspec.DecodeError, RecursionError, ValueError):
            # Too odd to be taken apart: better told as it came than not at all.
            return None


def _look(choice: Choice, known: _Choice, plan: _Plan) -> bool:
    """Whether the choice is sound; what it adds is remembered, what it needs is planned."""
    delta = choice.delta
    if delta is None:
        return False
    sound = None not in _members(delta)
    if delta.role is _UNSET or delta.role is None:
        if not known.has_role:
            plan.role, sound = msgspec.Raw(b'"assistant"'), False
    elif known.has_role:
        plan.role, sound = msgspec.Raw(_NULL), False
    known.has_role = True
    for call in delta.tool_calls or ():
        function = call.function or call.custom or _NOTHING
        # The input of a custom tool may be empty: it is text, not an object.
        arguments = "text" if call.custom else function.arguments
        position, begins = known.calls.place(call.index, call.id, function.name, arguments)
        plan.calls.append((position, begins))
        sound = _is_sound_call(call, function, position, begins=begins) and sound
    if choice.finish_reason and known.calls.count:
        plan.bare, plan.finish = known.calls.without_arguments(), choice.finish_reason == "stop"
        sound = sound and not plan.bare and not plan.finish
    return sound


def _is_sound_call(call: ToolCallDelta, function: FunctionDelta, position: int, *, begins: bool) -> bool:
    if call.index != position or None in _members(call) or None in _members(function):
        return False
    if not isinstance(function.arguments, str) and function.arguments is not _UNSET:
        return False
    if begins:
        return bool(call.id and call.type)
    return call.id is _UNSET and function.name is _UNSET


def _rewritten(data: bytes, plans: list[_Plan], chunk_id: Any) -> bytes:
    members = _raw_object(data)
    choices = _raw_objects(bytes(members["choices"]))
    for choice, plan in zip(choices, plans, strict=True):
        raw = choice.get("delta")
        delta = {} if raw is None or bytes(raw) == _NULL else _raw_object(bytes(raw))
        if plan.role is not None:
            delta["role"] = plan.role
        if plan.calls or plan.bare:
            calls = _raw_objects(bytes(delta["tool_calls"])) if plan.calls else []
            mended = [_mended_call(c, p, chunk_id) for c, p in zip(calls, plan.calls, strict=True)]
            empty = [{"index": position, "function": {"arguments": "{}"}} for position in plan.bare]
            delta["tool_calls"] = msgspec.Raw(encode([*mended, *empty]))
        choice["delta"] = msgspec.Raw(encode(_without_nulls(delta)))
        if plan.finish:
            choice["finish_reason"] = msgspec.Raw(b'"tool_calls"')
    members["choices"] = msgspec.Raw(encode(choices))
    return encode(members)


def _mended_call(call: RawObject, place: tuple[int, bool], chunk_id: Any) -> RawObject:
    position, begins = place
    kind = "custom" if "custom" in call else "function"
    call = _without_nulls(call)
    call["index"] = msgspec.Raw(encode(position))
    function = _without_nulls(_raw_object(bytes(call[kind]))) if kind in call else {}
    arguments = function.get("arguments")
    if arguments is not None and not bytes(arguments).startswith(b'"'):
        function["arguments"] = msgspec.Raw(encode(bytes(arguments).decode()))
    if begins:
        call.setdefault("type", msgspec.Raw(encode(kind)))
        if bytes(call.get("id", b'""')) == b'""':
            call["id"] = msgspec.Raw(encode(f"call_{chunk_id or ''}_{position}"))
    else:
        call.pop("id", None)
        function.pop("name", None)
    call[kind] = msgspec.Raw(encode(function))
    return call


def _with_arguments(function: msgspec.Raw) -> msgspec.Raw:
    members = _raw_object(bytes(function))
    if not bytes(members.get("arguments", b'""')).strip(b'" '):
        members["arguments"] = msgspec.Raw(b'"{}"')
    return msgspec.Raw(encode(members))


def _without_nulls(members: RawObject) -> RawObject:
    return {name: value for name, value in members.items() if bytes(value) != _NULL}


class _Message(msgspec.Struct):
    tool_calls: list[ToolCallDelta] | None = None


class _WholeChoice(msgspec.Struct):
    message: _Message | None = None
    finish_reason: Any = None


class _Completion(msgspec.Struct):
    choices: list[_WholeChoice] | None = None


_decode_completion = msgspec.json.Decoder(_Completion).decode


def mended_completion(body: bytes) -> bytes:
    """A complete answer whose tool calls clients can run; the same bytes when it is sound, as nearly all are."""
    try:
        choices = _decode_completion(body).choices or ()
        return body if all(map(_is_sound_choice, choices)) else _rewritten_completion(body)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return body


def _is_sound_choice(choice: _WholeChoice) -> bool:
    calls = choice.message.tool_calls if choice.message is not None else None
    if not calls:
        return True
    sound = all(call.id and call.type and (call.custom or _is_told(call.function)) for call in calls)
    return sound and choice.finish_reason != "stop"


def _is_told(function: Any) -> bool:
    arguments = function.arguments if function else None
    return isinstance(arguments, str) and bool(arguments.strip())


def _rewritten_completion(body: bytes) -> bytes:
    members = _raw_object(body)
    choices = _raw_objects(bytes(members["choices"]))
    for choice in choices:
        message = _raw_object(bytes(choice["message"]))
        if bytes(message.get("tool_calls", b"[]")) in (b"[]", _NULL):
            continue
        calls = _raw_objects(bytes(message["tool_calls"]))
        for position, call in enumerate(calls):
            mended = _mended_call(call, (position, True), None)
            mended.pop("index")
            if "function" in mended:
                mended["function"] = _with_arguments(mended["function"])
            call.clear()
            call.update(mended)
        message["tool_calls"] = msgspec.Raw(encode(calls))
        choice["message"] = msgspec.Raw(encode(message))
        if bytes(choice.get("finish_reason", _NULL)) == b'"stop"':
            choice["finish_reason"] = msgspec.Raw(b'"tool_calls"')
    members["choices"] = msgspec.Raw(encode(choices))
    return encode(members)
