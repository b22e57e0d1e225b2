"""How a failure is told: as a status with a body, or as an event inside a stream that has begun, in the client's
dialect.
"""

import math
from typing import Any

import msgspec

from shared.errors import BudgetExceeded, TollwayError
from shared.messages.gateway import Dialect
from shared.wire.errors import error_event, error_object

RETRY_LATER_SECONDS = 1


def told(error: TollwayError, dialect: Dialect, request_id: str) -> dict[str, Any]:
    """The error as the dialect's object."""
    return error_object(
        dialect, error.status, error.message, code=error.error_code, param=error.param, request_id=request_id
    )


def body_of(error: TollwayError, dialect: Dialect, request_id: str) -> bytes:
    """The error as a response body."""
    return msgspec.json.encode(told(error, dialect, request_id))


def event_of(error: TollwayError, dialect: Dialect, request_id: str) -> bytes:
    """The error as the last event of a stream."""
    return error_event(dialect, told(error, dialect, request_id))


def event_from(body: bytes, status: int, dialect: Dialect, request_id: str) -> bytes:
    """An upstream's error body as the last event of a stream that had to begin before it came."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        value = None
    if not isinstance(value, dict) or "error" not in value:
        value = error_object(dialect, status, "The provider refused the request.", request_id=request_id)
    return error_event(dialect, value)


def headers_of(error: TollwayError) -> dict[str, str]:
    """What a failure adds to the head of its response."""
    headers = dict(error.headers)
    if isinstance(error, BudgetExceeded):
        headers.setdefault("x-should-retry", "false")
    if error.retry_after is not None:
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after)))
    elif error.status == 503:
        headers.setdefault("retry-after", str(RETRY_LATER_SECONDS))
    return headers
