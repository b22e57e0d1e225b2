"""How deep a JSON text may be nested: deeper ones overflow the stacks of those who read them after us."""

import re
from collections.abc import Iterator

MAX_DEPTH = 200

_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"')
_WHOLE_STRINGS = re.compile(rb'(?:[^"]++|"(?:[^"\\]++|\\.)*+")*+')
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_PIECE_BYTES = 64 << 10  # a body of millions of small strings costs many times its size when it is split in one go


def too_deep(body: bytes) -> bool:
    """Whether a valid JSON text is nested deeper than `MAX_DEPTH`."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return False
    rest = b"".join(_STRING.sub(b"", piece).translate(_BRACKETS, _NOT_BRACKETS) for piece in _pieces(body))
    for _ in range(MAX_DEPTH):  # each pass takes the innermost level away
        if not rest:
            return False
        rest = rest.replace(b"[]", b"")
    return bool(rest)


def _pieces(body: bytes) -> Iterator[bytes]:
    """The text cut where no string is."""
    start = 0
    while start < len(body):
        cut = _WHOLE_STRINGS.match(body, start, start + _PIECE_BYTES)
        end = cut.end() if cut is not None and cut.end() > start else _end_of_string(body, start)
        yield body[start:end]
        start = end


def _end_of_string(body: bytes, start: int) -> int:
    """Behind a string that is longer than a piece."""
    string = _STRING.match(body, start)
    return string.end() if string is not None else len(body)
