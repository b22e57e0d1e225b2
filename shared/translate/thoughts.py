"""Thoughts without a signature: told to Anthropic clients by other providers' models, refused when they come back.

An empty signature says that a thought is not Anthropic's own; before a Messages request goes to Anthropic, such blocks
leave it, and nothing else does.
"""

import operator
import re

import msgspec

from shared.wire.json_text import encode

_EMPTY_SIGNATURE = re.compile(rb'"signature"[ \t\r\n]*:[ \t\r\n]*""')
_raw_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_raw_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


class _Block(msgspec.Struct):
    type: str = ""
    signature: str | None = None


_decode_block = msgspec.json.Decoder(_Block).decode


def without_unsigned_thoughts(body: bytes) -> bytes:
    """The Messages request without them; the same bytes when there are none, as in nearly every request."""
    if _EMPTY_SIGNATURE.search(body) is None:
        return body
    try:
        members = _raw_object(body)
        messages = _raw_list(bytes(members["messages"]))
        cleaned = [_cleaned(message) for message in messages]
    except (msgspec.DecodeError, RecursionError, KeyError):
        return body
    if all(map(operator.is_, messages, cleaned)):
        return body
    members["messages"] = msgspec.Raw(encode([message for message in cleaned if message is not None]))
    return encode(members)


def _cleaned(raw: msgspec.Raw) -> msgspec.Raw | None:
    """The message without its unsigned thoughts; None when it was nothing else."""
    if _EMPTY_SIGNATURE.search(bytes(raw)) is None:
        return raw
    message = _raw_object(bytes(raw))
    blocks = _raw_list(bytes(message["content"]))
    kept = [block for block in blocks if not _is_unsigned(bytes(block))]
    if len(kept) == len(blocks):
        return raw
    if not kept:
        return None
    message["content"] = msgspec.Raw(encode(kept))
    return msgspec.Raw(encode(message))


def _is_unsigned(block: bytes) -> bool:
    if _EMPTY_SIGNATURE.search(block) is None:
        return False
    told = _decode_block(block)
    return told.type == "thinking" and told.signature == ""
