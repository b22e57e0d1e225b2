"""On whose behalf a request is made: our own extra fields and headers, and the marks that clients send
by themselves.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from shared.errors import BadRequest

MAX_LENGTH = 256
_OLD_CLAUDE_CODE = re.compile(r"_session_([0-9a-fA-F-]{36})$")


class Own(msgspec.Struct):
    """The `tollway` member of a request."""

    tools: list[str] | None = None
    function: str | None = None
    anchor_id: str | None = None
    metadata: Any = None


@dataclass(frozen=True, kw_only=True)
class Identity:
    """The labels of a request, and the tools it asks for."""

    session_id: str | None
    user_id: str | None
    function: str | None
    anchor_id: str | None
    tools: tuple[str, ...] | None
    label: str | None


NOBODY = Identity(session_id=None, user_id=None, function=None, anchor_id=None, tools=None, label=None)
_NOTHING = (None,) * 5
_HEADERS = frozenset({
    "x-tollway-session", "x-tollway-user", "x-tollway-function", "x-tollway-anchor", "x-tollway-tools",
    "x-claude-code-session-id",
})  # fmt: skip


def identify(
    headers: Mapping[str, str],
    *,
    session_id: str | None,
    user_id: str | None,
    own: Own | None,
    metadata: bytes | None,
    prompt_cache_key: bytes | None,
) -> Identity:
    """What body and headers say together; the body's word counts where both speak."""
    told = (own, session_id, user_id, metadata, prompt_cache_key)
    if told == _NOTHING and _HEADERS.isdisjoint(headers):
        return NOBODY
    own = own or Own()
    tools = own.tools
    if tools is None and (listed := headers.get("x-tollway-tools")):
        tools = [name.strip() for name in listed.split(",") if name.strip()]
    return Identity(
        session_id=_name("session_id", session_id or _told(headers, "x-tollway-session")),
        user_id=_name("user_id", user_id or _told(headers, "x-tollway-user")),
        function=_name("tollway.function", own.function or _told(headers, "x-tollway-function")),
        anchor_id=_name("tollway.anchor_id", own.anchor_id or _told(headers, "x-tollway-anchor")),
        tools=None if tools is None else tuple(tools),
        label=_label(headers, metadata, prompt_cache_key),
    )


def _told(headers: Mapping[str, str], name: str) -> str | None:
    value = headers.get(name)
    if not value:
        return None
    try:
        return value.encode("latin-1").decode()  # what ASGI decodes as Latin-1 is UTF-8 in practice
    except UnicodeError:
        return value


def _name(field: str, value: str | None) -> str | None:
    if value is not None and (len(value) > MAX_LENGTH or "\0" in value):
        raise BadRequest(f"'{field}' must be a text of at most {MAX_LENGTH} characters, none of them NUL.", param=field)
    return value or None


def _label(headers: Mapping[str, str], metadata: bytes | None, prompt_cache_key: bytes | None) -> str | None:
    """The conversation a client marks by itself: it labels usage and never keeps history."""
    marked = headers.get("x-claude-code-session-id") or _session_in(_user_in(metadata)) or _string(prompt_cache_key)
    return marked.replace("\0", "")[:MAX_LENGTH] if marked else None


def _user_in(metadata: bytes | None) -> str | None:
    value = _decoded(metadata)
    user = value.get("user_id") if isinstance(value, dict) else None
    return user if isinstance(user, str) else None


def _session_in(user: str | None) -> str | None:
    """Claude Code puts JSON with a session's id there, or wrote it at the end of the name."""
    if not user:
        return None
    if user.startswith("{"):
        value = _decoded(user.encode())
        session = value.get("session_id") if isinstance(value, dict) else None
        return session if isinstance(session, str) and session else user
    found = _OLD_CLAUDE_CODE.search(user)
    return found[1] if found else user


def _string(raw: bytes | None) -> str | None:
    value = _decoded(raw)
    return value if isinstance(value, str) else None


def _decoded(raw: bytes | None) -> Any:
    if raw is None:
        return None
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None
