"""Failures of a provider: read from whatever it sent, sorted by what helps, told in the client's dialect."""

import re
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal, get_args

import msgspec

from shared.wire.dialect import Dialect
from shared.wire.errors import error_event, error_object, status_of
from shared.wire.json_text import NotJsonError, decode, encode
from shared.wire.sse import encode_event

Kind = Literal[
    "rate_limit",
    "overloaded",
    "server",
    "auth",
    "quota",
    "context_length",
    "content_filter",
    "bad_request",
    "not_found",
    "too_large",
    "timeout",
    "connection",
]
KINDS: Final[tuple[str, ...]] = get_args(Kind)
MAX_MESSAGE = 2000

_CONTEXT_CODES = {"context_length_exceeded", "model_context_window_exceeded", "context_window_exceeded"}
_CONTEXT_WORDS = re.compile(
    r"context[ _](length|window|limit)|prompt is too long|input is too long|too many (input )?tokens"
    r"|reduce the length of (the|your) (messages|prompt)"
    r"|exceeds? the (model'?s? )?maximum (number )?(of )?(input )?tokens"
    r"|maximum prompt length|input length .{0,40}exceed",
    re.IGNORECASE,
)
_FILTER_CODES = {
    "content_filter",
    "content_policy_violation",
    "responsibleaipolicyviolation",
    "moderation_blocked",
    "data_inspection_failed",
    "safety",
}
_FILTER_WORDS = re.compile(
    r"content (policy|filter|management policy|moderation)|safety (system|polic)|usage polic(y|ies)"
    r"|inappropriate content"
    r"|blocked by .{0,40}(filter|polic)|flagged (by|as|for) ",
    re.IGNORECASE,
)
_QUOTA_CODES = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "billing_error"}
_QUOTA_WORDS = re.compile(
    r"credit balance is too low|exceeded your current quota|insufficient (balance|credits|quota)", re.I
)
_KEY = re.compile(r"\b(sk|pk|rk|key)-[A-Za-z0-9_\-*]{6,}")
_TAGS = re.compile(r"<(script|style)\b.*?</\1\s*>|<[^>]*>", re.IGNORECASE | re.DOTALL)


class UpstreamError(msgspec.Struct, frozen=True):
    """What a provider sent instead of an answer; `body` is its bytes, for a route that relays them untouched."""

    status: int
    type: str | None
    code: str | None
    message: str
    param: str | None = None
    retry_after: float | None = None
    dialect: Dialect | None = None
    body: bytes = b""


def timed_out(message: str) -> UpstreamError:
    """A provider that did not answer within a deadline."""
    return UpstreamError(504, "timeout_error", "timeout", message)


def unreachable(message: str) -> UpstreamError:
    """A provider that could not be reached, or that closed the connection."""
    return UpstreamError(502, "connection_error", "connection", message)


def parse_error(
    status: int, body: bytes, dialect: Dialect | None = None, retry_after: float | None = None
) -> UpstreamError:
    """The error in a body of any make: both dialects' shapes, a proxy's page, plain text, nothing; under 200 too."""
    try:
        value = decode(body)
    except NotJsonError:
        message = _readable(body) or f"the provider answered {status} without an explanation"
        return UpstreamError(_honest(status, None, None), None, None, message, None, retry_after, dialect, body)
    return error_of(value, status, dialect, retry_after, body)


def error_of(
    value: Any,
    status: int = 200,
    dialect: Dialect | None = None,
    retry_after: float | None = None,
    body: bytes = b"",
) -> UpstreamError:
    """The error in a decoded body or error event; under a 200 its status follows from its type or code."""
    if isinstance(value, list) and value:
        value = value[0]
    inner: Any = value
    if isinstance(value, dict):
        inner = next((value[key] for key in ("error", "detail", "errors", "message") if value.get(key)), value)
    if isinstance(inner, list) and inner:
        inner = inner[0]
    fields = inner if isinstance(inner, dict) else {}
    type_, code = _text(fields.get("type")), fields.get("code")
    details = fields.get("details")
    if code is None and isinstance(details, dict):
        code = details.get("error_code")
    if code is None and isinstance(value, dict):
        code = value.get("code")
    status = _honest(status, type_, code)
    message = _text(fields.get("message") or fields.get("msg") or fields.get("error"))
    if message is None and inner:
        message = inner if isinstance(inner, str) else encode(inner).decode()
    message = _clean(message or "") or f"the provider answered {status} without an explanation"
    return UpstreamError(status, type_, _text(code), message, _text(fields.get("param")), retry_after, dialect, body)


def kind(error: UpstreamError) -> Kind:
    """What sort of failure it is: what decides whether to try again, elsewhere or not at all."""
    words = {(error.code or "").lower(), (error.type or "").lower()}
    if "connection_error" in words:
        return "connection"
    if error.status < 500:
        refused = _kind_of_refusal(error, words)
        if refused is not None:
            return refused
    if "timeout_error" in words or error.status in (408, 504):
        return "timeout"
    if error.status == 529 or "overloaded_error" in words:
        return "overloaded"
    return "server" if error.status >= 500 else "bad_request"


def _kind_of_refusal(error: UpstreamError, words: set[str]) -> Kind | None:
    status, message = error.status, error.message
    if status not in (401, 429):
        if words & _FILTER_CODES or (status in (400, 403) and _FILTER_WORDS.search(message)):
            return "content_filter"
        if words & _CONTEXT_CODES or (status in (400, 413, 422) and _CONTEXT_WORDS.search(message)):
            return "context_length"
    if status == 402 or words & _QUOTA_CODES or (status in (400, 403, 429) and _QUOTA_WORDS.search(message)):
        return "quota"
    by_status: dict[int, Kind] = {
        401: "auth",
        403: "auth",
        404: "not_found",
        413: "too_large",
        429: "rate_limit",
    }
    return by_status.get(status)


def render(error: UpstreamError, dialect: Dialect, request_id: str | None = None) -> bytes:
    """The error's body in the client's dialect."""
    return encode(_told(error, dialect, request_id))


def render_event(error: UpstreamError, dialect: Dialect, request_id: str | None = None) -> bytes:
    """The error as an event of a stream that has begun: the provider's own bytes where clients can read them."""
    if error.dialect == dialect and _is_event(error.body, dialect):
        return encode_event(error.body, "error" if dialect == "anthropic" else None)
    return error_event(dialect, _told(error, dialect, request_id))


def _is_event(body: bytes, dialect: Dialect) -> bool:
    try:
        value = decode(body)
    except NotJsonError:
        return False
    told = value.get("error") if isinstance(value, dict) else None
    if not isinstance(told, dict) or not isinstance(told.get("message"), str):
        return False
    return dialect == "openai" or value.get("type") == "error"


def _told(error: UpstreamError, dialect: Dialect, request_id: str | None) -> dict[str, Any]:
    same = error.dialect == dialect
    what, message, code = kind(error), error.message, error.code
    if dialect == "anthropic" and what == "context_length" and "prompt is too long" not in message:
        # Clients of this dialect recognise the case by its words and shorten the conversation.
        message = f"prompt is too long: {message}"
    if dialect == "openai" and code is None:
        code = _OPENAI_CODES.get(what) or (None if same else error.type)
    return error_object(
        dialect,
        error.status,
        message,
        type=error.type if same else None,
        code=code,
        param=error.param,
        request_id=request_id,
    )


_OPENAI_CODES: Final[dict[Kind, str]] = {
    "context_length": "context_length_exceeded",
    "content_filter": "content_policy_violation",
    "rate_limit": "rate_limit_exceeded",
    "quota": "insufficient_quota",
    "not_found": "model_not_found",
    "auth": "invalid_api_key",
}


def parse_retry_after(value: str | None, now: float) -> float | None:
    """The seconds a `retry-after` header asks for, given as seconds or as an HTTP date."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - now
        except (ValueError, TypeError, OverflowError):
            return None
    return max(0.0, seconds) if seconds < 1e9 else None


def _honest(status: int, type_: str | None, code: object) -> int:
    """The status of an error that came with a good one, or inside a stream."""
    if status >= 400:
        return status
    if isinstance(code, int | str) and str(code).isdigit() and 400 <= int(code) < 600:
        return int(code)
    for word in (type_, code):
        if isinstance(word, str) and (known := status_of(word)) != 500:
            return known
    return 500 if type_ or code else 502


def _text(value: object) -> str | None:
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else str(value)


def _readable(body: bytes) -> str:
    return _clean(_TAGS.sub(" ", body[:65536].decode("utf-8", "replace")))


def _clean(message: str) -> str:
    """One readable line without anything that looks like a key."""
    return _KEY.sub("[key]", " ".join(message[: 4 * MAX_MESSAGE].split()))[:MAX_MESSAGE]
