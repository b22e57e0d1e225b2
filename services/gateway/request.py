"""What a client asks: the body read once into the fields we act on, with our own fields taken out of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from services.gateway.callers import Caller
from services.gateway.identity import Identity, Own, identify
from shared.errors import BadRequest
from shared.messages.gateway import Byo, Dialect, Operation
from shared.wire.nesting import MAX_DEPTH, count_containers, too_deep
from shared.wire.splice import DoubledNameError, Members

MAX_NAME = 256
MAX_MESSAGES = 100_000
MAX_CONTAINERS = 1_000_000  # more than any conversation holds; reading many millions would keep others waiting
MAX_DIGITS = 4000  # about what can be converted in bounded time

_OWN = frozenset({"session_id", "user_id", "tollway"})
_ACTED_ON = _OWN | {
    "model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens",
    "input", "system", "tools", "metadata", "prompt_cache_key",
}  # fmt: skip
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"')
_LONE_SURROGATE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F]"
)
_MISSING = re.compile(r"Object missing required field `(\w+)`")
_DIGITS_TO_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER = b"0" * MAX_DIGITS
_LONG_RUN = re.compile(rb"[A-Za-z0-9+/=_-]{2048,}+")
_TOKENS_OF_A_RUN = 1600  # about what an image costs, however many bytes it has


# What a value must be, by its first byte, for members that we or the translation act on; null stands for nothing.
_KINDS = (
    (b"-0123456789", "a number", ("temperature", "top_p", "n")),
    (b"[", "an array", ("tools", "functions", "stop_sequences")),
    (b'"[', "a string or an array", ("stop", "system")),
    (b'"{', "a string or an object", ("tool_choice",)),
    (b"{", "an object", ("response_format", "thinking")),
)
_CONTENT = b'"[n'


class _Message(msgspec.Struct):
    role: str
    content: msgspec.Raw = msgspec.Raw(b"null")


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


_model = msgspec.json.Decoder(str)
_messages = msgspec.json.Decoder(list[_Message])
_flag = msgspec.json.Decoder(bool | None)
_count = msgspec.json.Decoder(int | None)
_stream_options = msgspec.json.Decoder(_StreamOptions | None)
_own = msgspec.json.Decoder(Own | None)
_text = msgspec.json.Decoder(str | None)
_input = msgspec.json.Decoder(str | list[str | int | list[int]])


@dataclass(frozen=True, kw_only=True)
class Admitted:
    """Who asks, under which id, and what of the request's head travels on."""

    caller: Caller
    request_id: str
    headers: dict[str, str] = field(default_factory=dict)
    query: str = ""
    traceparent: str | None = None


@dataclass(frozen=True, kw_only=True)
class ClientRequest:
    """One request for a model's answer; `body` is a JSON object that no longer holds our own fields."""

    dialect: Dialect
    model: str
    body: bytes
    operation: Operation = "chat"
    stream: bool = False
    include_usage: bool = False
    max_output_tokens: int | None = None
    session_id: str | None = None
    user_id: str | None = None
    label: str | None = None
    function: str | None = None
    anchor_id: str | None = None
    tools: tuple[str, ...] | None = None
    remember: bool = True
    keep_aborted: bool = False
    byo: Byo | None = None
    observer: Any = None

    @property
    def session(self) -> str | None:
        """The session whose history is kept: the one named, else the one of the user."""
        return (self.session_id or self.user_id) if self.remember else None

    @property
    def input_estimate(self) -> int:
        """Tokens the input can have at most, by its bytes; long runs of base64 count as one image each."""
        body = self.body
        if len(body) < 8192:
            return len(body) // 3 + 1
        runs = list(_LONG_RUN.finditer(body))
        return (len(body) - sum(len(run[0]) for run in runs)) // 3 + _TOKENS_OF_A_RUN * len(runs) + 1


def read_request(body: bytes, headers: Mapping[str, str], dialect: Dialect, operation: Operation) -> ClientRequest:
    """The request in a body; raises BadRequest naming the field that is wrong."""
    members = read_members(body)
    try:
        members.require_single(_ACTED_ON)
    except DoubledNameError as error:
        raise BadRequest(f"'{error.name}' is given twice.", param=error.name) from error
    model = _read(members, "model", _model, required=True)
    if not model or len(model) > MAX_NAME or "\0" in model:
        raise BadRequest(f"'model' must be a string of 1 to {MAX_NAME} characters.", param="model")
    _check_content(members, dialect, operation)
    streaming = operation == "chat"
    options = _read(members, "stream_options", _stream_options) if streaming and dialect == "openai" else None
    identity = _identify(members, headers)
    own = [name for name in _OWN if name in members]
    return ClientRequest(
        dialect=dialect,
        operation=operation,
        model=model,
        body=members.spliced({}, own) if own else body,
        stream=streaming and bool(_read(members, "stream", _flag)),
        include_usage=options is not None and bool(options.include_usage),
        max_output_tokens=_max_output(members) if streaming else 0,
        session_id=identity.session_id,
        user_id=identity.user_id,
        label=identity.label,
        function=identity.function,
        anchor_id=identity.anchor_id,
        tools=identity.tools,
    )


def read_members(body: bytes) -> Members:
    """The members of a request body; raises BadRequest for what is not sane JSON, before anybody
    trusts it.
    """
    if not body:
        raise BadRequest("The body is empty; send a JSON object.")
    try:
        if not body.isascii():
            body.decode()
        members = Members(body)
    except UnicodeDecodeError as error:
        raise BadRequest("The body is not valid UTF-8.") from error
    except msgspec.ValidationError as error:
        raise BadRequest("The body must be a JSON object.") from error
    except msgspec.DecodeError as error:
        raise BadRequest(f"The body is not valid JSON: {_reason(body, error)}") from error
    except RecursionError as error:
        raise BadRequest(f"The body is nested deeper than {MAX_DEPTH} levels.") from error
    if count_containers(body) > MAX_CONTAINERS:
        raise BadRequest(f"The body holds more than {MAX_CONTAINERS} objects and arrays.")
    if too_deep(body):
        raise BadRequest(f"The body is nested deeper than {MAX_DEPTH} levels.")
    if len(body) > MAX_DIGITS and _has_long_number(body):
        raise BadRequest(f"The body holds a number of more than {MAX_DIGITS} digits.")
    return members


def _reason(body: bytes, error: msgspec.DecodeError) -> str:
    """The parser's words, except where they mislead: it takes half a surrogate pair for a cut body."""
    if b"\\u" in body and _LONE_SURROGATE.search(body):
        return "a string holds half of a surrogate pair"
    return str(error)


def _has_long_number(body: bytes) -> bool:
    if _LONG_NUMBER not in body.translate(_DIGITS_TO_ZEROS):
        return False
    return _LONG_NUMBER in _STRING.sub(b'""', body).translate(_DIGITS_TO_ZEROS)


def _check_content(members: Members, dialect: Dialect, operation: Operation) -> None:
    if operation == "embeddings":
        if _read(members, "input", _input, required=True) in ("", []):
            raise BadRequest("'input' must not be empty.", param="input")
        return
    if (members.raw("messages") or b"").count(b'"role"') > MAX_MESSAGES:  # in a text the quotes are escaped
        raise BadRequest(f"'messages' holds more than {MAX_MESSAGES} messages.", param="messages")
    messages = _read(members, "messages", _messages, required=True)
    if not messages:
        raise BadRequest("'messages' must not be empty.", param="messages")
    for place, message in enumerate(messages):
        if memoryview(message.content)[0] not in _CONTENT:
            param = f"messages[{place}].content"
            raise BadRequest(f"'{param}' must be a string or an array.", param=param)
    _check_kinds(members)
    if dialect == "anthropic" and operation == "chat" and _read(members, "max_tokens", _count) is None:
        raise BadRequest("max_tokens: Field required", param="max_tokens")


def _check_kinds(members: Members) -> None:
    for first_bytes, kind, names in _KINDS:
        for name in names:
            if name in members:
                raw = members.raw(name)
                if raw and raw != b"null" and raw[0] not in first_bytes:
                    raise BadRequest(f"'{name}' must be {kind}.", param=name)


def _read(members: Members, name: str, decoder: msgspec.json.Decoder[Any], *, required: bool = False) -> Any:
    """A member's value; raises BadRequest when it is of the wrong kind, or missing where it may not be."""
    raw = members.raw(name)
    if raw is None:
        if required:
            raise BadRequest(f"'{name}' is required.", param=name)
        return None
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at `$")
        param = name + place.rstrip("`")
        if missing := _MISSING.fullmatch(reason):
            param = f"{param}.{missing[1]}"
            raise BadRequest(f"'{param}' is required.", param=param) from error
        raise BadRequest(f"'{param}' is not valid: {reason}.", param=param) from error


def _max_output(members: Members) -> int | None:
    told = [_read(members, name, _count) for name in ("max_completion_tokens", "max_tokens")]
    return max((max(0, count) for count in told if count is not None), default=None)


def _identify(members: Members, headers: Mapping[str, str]) -> Identity:
    raw = members.raw("tollway")
    if raw is not None and raw.startswith(b"{"):
        try:
            Members(raw).require_single({"tools", "function", "anchor_id", "metadata"})
        except DoubledNameError as error:
            raise BadRequest(f"'tollway.{error.name}' is given twice.", param=f"tollway.{error.name}") from error
    return identify(
        headers,
        session_id=_read(members, "session_id", _text),
        user_id=_read(members, "user_id", _text),
        own=_read(members, "tollway", _own),
        metadata=members.raw("metadata"),
        prompt_cache_key=members.raw("prompt_cache_key"),
    )


def chat_request(
    *,
    messages: list[dict[str, Any]],
    model: str,
    parameters: Mapping[str, Any] | None = None,
    **fields: Any,
) -> ClientRequest:
    """A streamed request in OpenAI's dialect that one of our own surfaces makes."""
    body = {"model": model, "messages": messages, "stream": True, **(parameters or {})}
    return ClientRequest(
        dialect="openai",
        model=model,
        body=msgspec.json.encode(body),
        stream=True,
        include_usage=True,
        max_output_tokens=(parameters or {}).get("max_tokens"),
        **fields,
    )
