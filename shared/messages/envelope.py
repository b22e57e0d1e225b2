"""Encoding of messages for the bus and the spool: msgspec JSON with a `type` tag and a version."""

from typing import Any, TypeVar

import msgspec

M = TypeVar("M", bound=msgspec.Struct)

_encoder = msgspec.json.Encoder()


class Named(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """On whose behalf a call is made: labels of every event of the request."""

    key_id: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    anchor_id: str | None = None
    function: str | None = None


def encode(message: Any) -> bytes:
    """The message as JSON bytes."""
    return _encoder.encode(message)


def decode(data: bytes, kind: type[M]) -> M:
    """The message of that kind, unknown fields ignored; raises msgspec.ValidationError."""
    return msgspec.json.decode(data, type=kind)
