"""Every error the library raises.

TollwayError
├── ServerError          the server answered with an error status
│   └── RefusedError          … and will never take this request (400, 413, 422)
├── ServerUnreachableError    no answer at all, or one that breaks off
├── AgentValidationError an agent cannot be published
└── ToolError            a tool cannot be made or registered
"""

import json


class TollwayError(Exception):
    """Something went wrong in or behind the Tollway library."""


class ServerError(TollwayError):
    """The server answered with an error status."""

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message
        self.code = code


class RefusedError(ServerError):
    """The server will never take this request as it is."""


class ServerUnreachableError(TollwayError):
    """The server gave no answer, or its answer broke off."""


class AgentValidationError(TollwayError, ValueError):
    """The agent cannot be published: wrong type, missing method, or wrong signature."""


class ToolError(TollwayError):
    """A tool cannot be made or registered."""


REFUSALS = frozenset({400, 413, 415, 422})


def server_error(status: int, body: bytes) -> ServerError:
    """The error an answer stands for, in whichever dialect its body speaks."""
    message, code = _told(body)
    kind = RefusedError if status in REFUSALS else ServerError
    return kind(status, message or "the server gave no reason", code)


def _told(body: bytes) -> tuple[str, str | None]:
    try:
        told = json.loads(body)
    except ValueError:
        return body[:200].decode("utf-8", "replace").strip(), None
    if not isinstance(told, dict):
        return str(told)[:200], None
    error = told.get("error", told.get("detail", told.get("message", told)))
    if isinstance(error, dict):
        code = error.get("code") or error.get("type")
        return str(error.get("message", error)), str(code) if code else None
    return str(error), None
