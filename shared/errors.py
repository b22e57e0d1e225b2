"""The tree of failures a caller can do something about.

    TollwayError
    ├── BadRequest 400        ├── NotFound 404          ├── TooLarge 413
    │   ├── Unprocessable 422 │                         ├── UnsupportedEncoding 415
    ├── Unauthenticated 401   ├── Conflict 409          ├── RateLimited 429
    ├── BudgetExceeded 402    ├── Gone 410              │
    ├── Forbidden 403         ├── Internal 500
    └── Unavailable 503
        ├── BusUnavailable ── BusUnroutable    ├── DatabaseUnavailable    ├── RouterUnavailable
        ├── CacheUnavailable                   ├── SpoolFull              └── Draining

Every class says its `code`, its `status` and whether trying again can help; the docstring is the default message.
The HTTP edge renders it in the dialect being spoken; the bus edge redelivers what is retryable, else dead-letters.
"""

from typing import ClassVar


class TollwayError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False
    log_level: ClassVar[str] = "error"

    def __init__(
        self,
        message: str | None = None,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.message = message or (self.__doc__ or "").strip()
        self.param = param
        self.error_code = code or self.code
        self.retry_after = retry_after
        self.headers = headers or {}
        super().__init__(self.message)


class BadRequest(TollwayError):
    """The request is not valid."""

    code = "invalid_request"
    status = 400
    log_level = "info"


class Unprocessable(BadRequest):
    """A value of the request is out of range."""

    code = "unprocessable"
    status = 422


class Unauthenticated(TollwayError):
    """The key is missing or not valid."""

    code = "invalid_api_key"
    status = 401
    log_level = "info"


class BudgetExceeded(TollwayError):
    """The budget of this key is used up."""

    code = "budget_exceeded"
    status = 402
    log_level = "info"


class Forbidden(TollwayError):
    """This key may not do that."""

    code = "forbidden"
    status = 403
    log_level = "info"


class NotFound(TollwayError):
    """There is nothing here."""

    code = "not_found"
    status = 404
    log_level = "info"


class Conflict(TollwayError):
    """The request contradicts what is already there."""

    code = "conflict"
    status = 409
    log_level = "info"


class Gone(TollwayError):
    """It was here, and was removed."""

    code = "gone"
    status = 410
    log_level = "info"


class TooLarge(TollwayError):
    """The request body is too large."""

    code = "request_too_large"
    status = 413
    log_level = "info"


class UnsupportedEncoding(TollwayError):
    """The body's content-encoding is not supported; send it plain."""

    code = "unsupported_encoding"
    status = 415
    log_level = "info"


class RateLimited(TollwayError):
    """Too many requests; try again later."""

    code = "rate_limit_exceeded"
    status = 429
    retryable = True
    log_level = "info"


class Internal(TollwayError):
    """Tollway made a mistake; the request id names it in the log."""

    code = "internal_error"
    status = 500


class Unavailable(TollwayError):
    """A part of Tollway cannot be reached right now; try again."""

    code = "unavailable"
    status = 503
    retryable = True
    log_level = "warning"


class BusUnavailable(Unavailable):
    """The message bus cannot be reached right now."""

    code = "bus_unavailable"


class BusUnroutable(BusUnavailable):
    """No queue takes this message."""

    code = "bus_unroutable"


class DatabaseUnavailable(Unavailable):
    """The database cannot be reached right now."""

    code = "database_unavailable"


class CacheUnavailable(Unavailable):
    """The cache cannot be reached right now."""

    code = "cache_unavailable"


class RouterUnavailable(Unavailable):
    """The router cannot be reached right now."""

    code = "router_unavailable"


class SpoolFull(Unavailable):
    """The local usage log is full: the bus has been away too long."""

    code = "spool_full"


class Draining(Unavailable):
    """This process is stopping; another one will take the request."""

    code = "draining"
