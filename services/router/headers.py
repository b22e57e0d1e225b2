"""Which of a provider's headers a client gets to see, and the ones we add."""

from collections.abc import Iterable, Mapping
from urllib.parse import quote

_ALWAYS = frozenset({"retry-after", "retry-after-ms"})
_SAME_DIALECT = frozenset(
    {"openai-processing-ms", "openai-version", "openai-organization", "anthropic-organization-id", "x-should-retry"}
)
_SAME_DIALECT_PREFIXES = ("x-ratelimit-", "anthropic-ratelimit-")
_IDS = ("x-request-id", "request-id")

_LONGEST = 2000
_UNQUOTED = "/:,@ ."

JSON = "application/json"
EVENT_STREAM = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache, no-transform",
    "x-accel-buffering": "no",
}


def relayed(headers: Mapping[str, str], *, same_dialect: bool) -> dict[str, str]:
    """The provider's headers that mean something to the client. Cookies, server names and lengths stay here."""
    seen: dict[str, str] = {}
    for name, value in headers.items():
        name = name.lower()
        if name in _ALWAYS or (same_dialect and (name in _SAME_DIALECT or name.startswith(_SAME_DIALECT_PREFIXES))):
            seen[name] = value
        elif name in _IDS:
            seen["x-tollway-upstream-request-id"] = value
    return seen


def ours(model: str, provider: str, attempts: int, lossy: Iterable[str] = ()) -> dict[str, str]:
    """Who answered, at which attempt, and what was lost on the way."""
    headers = {
        "x-tollway-model": safe(model),
        "x-tollway-provider": safe(provider),
        "x-tollway-attempts": str(attempts),
    }
    if lost := ", ".join(sorted(lossy)):
        headers["x-tollway-lossy"] = safe(lost[:_LONGEST])
    return headers


def safe(value: str) -> str:
    """A value as a header can carry it: a line break in a client's name would begin a header."""
    return value if value.isascii() and value.isprintable() else quote(value, safe=_UNQUOTED)
