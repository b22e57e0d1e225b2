"""Error bodies and in-stream error events of both dialects, with the vendors' words for each status."""

from typing import Any

from shared.wire.dialect import Dialect
from shared.wire.json_text import encode
from shared.wire.sse import encode_event

_OPENAI_TYPES = {
    402: "insufficient_quota",
    403: "permission_error",
    409: "conflict_error",
    429: "rate_limit_error",
}
_OPENAI_CODES = {401: "invalid_api_key", 402: "insufficient_quota", 429: "rate_limit_exceeded"}
_ANTHROPIC_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_STATUS_OF_TYPE = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "billing_error": 402,
    "insufficient_quota": 429,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "tokens": 429,
    "requests": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}


def openai_type(status: int) -> str:
    """The `type` OpenAI uses for a status."""
    return _OPENAI_TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")


def openai_code(status: int) -> str | None:
    """The `code` that goes without saying for a status at OpenAI."""
    return _OPENAI_CODES.get(status)


def anthropic_type(status: int) -> str:
    """The `type` Anthropic uses for a status."""
    return _ANTHROPIC_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")


def status_of(error_type: str) -> int:
    """The status an error of this type or code would have had; 500 for words nobody knows."""
    return _STATUS_OF_TYPE.get(error_type, 500)


def error_object(
    dialect: Dialect,
    status: int,
    message: str,
    *,
    type: str | None = None,  # noqa: A002 -- the wire's own word
    code: str | None = None,
    param: str | None = None,
    request_id: str | None = None,
) -> dict[str, Any]:
    """The error as an object of the dialect's shape."""
    if dialect == "openai":
        code = code or openai_code(status)
        return {"error": {"message": message, "type": type or openai_type(status), "param": param, "code": code}}
    error: dict[str, Any] = {"type": type or anthropic_type(status), "message": message}
    if code is not None:
        error["details"] = {"error_code": code}
    return {"type": "error", "error": error, "request_id": request_id}


def error_event(dialect: Dialect, error: dict[str, Any]) -> bytes:
    """The error object as an event inside a stream that has begun."""
    return encode_event(encode(error), "error" if dialect == "anthropic" else None)
