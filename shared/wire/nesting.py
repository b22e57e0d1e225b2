"""How deep a JSON text may be nested: deeper ones overflow the stacks of those who read them after us."""

import re

MAX_DEPTH = 200

_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"')
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def too_deep(body: bytes) -> bool:
    """Whether a valid JSON text is nested deeper than `MAX_DEPTH`."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return False
    rest = _STRING.sub(b"", body).translate(_BRACKETS, _NOT_BRACKETS)
    for _ in range(MAX_DEPTH):  # each pass takes the innermost level away
        if not rest:
            return False
        rest = rest.replace(b"[]", b"")
    return bool(rest)
