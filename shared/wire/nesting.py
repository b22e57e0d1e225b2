"""How deep a JSON text may be nested: deeper ones overflow the stacks of those who read them after us."""

from collections.abc import Iterator

MAX_DEPTH = 200

_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_PIECE_BYTES = 64 << 10  # a body of millions of small strings costs many times its size when it is split in one go


def count_containers(body: bytes) -> int:
    """How many objects and arrays a text can hold at most; brackets in its strings are counted, too."""
    return body.count(b"[") + body.count(b"{")


def too_deep(body: bytes) -> bool:
    """Whether a valid JSON text is nested deeper than `MAX_DEPTH`."""
    if count_containers(body) <= MAX_DEPTH:
        return False
    rest = b"".join(piece.translate(_BRACKETS, _NOT_BRACKETS) for piece in _outside_strings(body))
    for _ in range(MAX_DEPTH):  # each pass takes the innermost level away
        if not rest:
            return False
        rest = rest.replace(b"[]", b"")
    return bool(rest)


def _outside_strings(body: bytes) -> Iterator[bytes]:
    """What stands between the strings, in pieces."""
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")  # then a quote always begins or ends a string
    inside = False
    for start in range(0, len(body), _PIECE_BYTES):
        parts = body[start : start + _PIECE_BYTES].split(b'"')
        yield b"".join(parts[inside::2])
        inside ^= len(parts) % 2 == 0
