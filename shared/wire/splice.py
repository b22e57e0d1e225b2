"""Changing top-level members of a JSON object without touching a byte of the others."""

import re
from collections.abc import Collection, Mapping, Set

import msgspec

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_name = msgspec.json.Decoder(str).decode
_WS = rb"[ \t\n\r]*"
_NAME = re.compile(rb'"((?:[^"\\]|\\.)*)"' + _WS + rb":" + _WS)
_BETWEEN = re.compile(_WS + rb",?" + _WS)
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{},]')

Span = tuple[int, int]


class DoubledNameError(ValueError):
    """The object has a member twice, so that two readers may disagree about it."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"{name!r} is given twice")


class Members:
    """The top-level members of an object: where each begins and where its value lies.

    Raises msgspec.DecodeError (ValidationError for another kind of value) or RecursionError for other bodies.
    """

    __slots__ = ("_doubled", "_single", "_spans", "_starts", "_values", "body")

    def __init__(self, body: bytes) -> None:
        self.body = body
        self._values = _decode(body)
        self._spans: dict[str, Span] | None = None
        self._doubled: set[str] = set()
        self._single: Collection[str] = ()
        self._starts: list[tuple[str, int, int]] = []

    def __contains__(self, name: str) -> bool:
        return name in self._values

    @property
    def names(self) -> Set[str]:
        """The names of all members."""
        return self._values.keys()

    @property
    def spans(self) -> dict[str, Span]:
        """Where each value lies; looked for when first asked, since most objects travel as they are."""
        if self._spans is None:
            self._spans = {}
            if not self._walk(self._spans):
                self._scan()
        return self._spans

    @property
    def doubled(self) -> set[str]:
        """Names that are there twice."""
        _ = self.spans
        return self._doubled

    def raw(self, name: str) -> bytes | None:
        """The exact bytes of a member's value; None when it is not there."""
        value = self._values.get(name)
        return None if value is None else bytes(value)

    def require_single(self, names: Collection[str]) -> None:
        """Raise DoubledNameError when one of these names is there twice."""
        body = self.body
        here = [name for name in self._values if name in names]
        # A name that is written once, and cannot be written otherwise, is there once: no need to look where.
        if b"\\u" not in body and all(body.count(b'"%b"' % name.encode()) == 1 for name in here):
            return
        self._single = names  # the look through the body ends at the first that is doubled
        for name in here:
            if name in self.doubled:
                raise DoubledNameError(name)

    def spliced(self, replace: Mapping[str, bytes], remove: Collection[str] = ()) -> bytes:
        """The object with values replaced or appended and members removed; the rest byte for byte."""
        pieces: list[bytes] = []
        spans = self.spans
        for name, start, end in self._starts:
            if name in remove:
                continue
            if name in replace:
                value_start, _ = spans[name]
                pieces.append(self.body[start:value_start] + replace[name])
            else:
                pieces.append(self.body[start:end])
        pieces += [msgspec.json.encode(name) + b":" + value for name, value in replace.items() if name not in spans]
        return b"{" + b",".join(pieces) + b"}"

    def _walk(self, spans: dict[str, Span]) -> bool:
        """Find members by the lengths of their decoded values: fast, but blind when a name is doubled."""
        body = self.body
        position = body.index(b"{") + 1
        opening = _BETWEEN.match(body, position)
        position = opening.end() if opening else position
        for name, raw in self._values.items():
            match = _NAME.match(body, position)
            length = memoryview(raw).nbytes
            if match is None or _name_of(match) != name:
                return False
            start, end = match.end(), match.end() + length
            if body[start:end] != bytes(raw):
                return False
            spans[name] = (start, end)
            self._starts.append((name, position, end))
            between = _BETWEEN.match(body, end)
            position = between.end() if between else end
        return body[position : position + 1] == b"}"

    def _scan(self) -> None:
        """Find members token by token, for objects with doubled names; the last value of a name counts."""
        body = self.body
        self._spans, self._starts = {}, []
        depth = 0
        name, start, value_start = "", 0, 0
        at_name = False
        position = 0
        while (token := _TOKEN.search(body, position)) is not None:
            position = token.end()
            text = token[0]
            if at_name and text.startswith(b'"'):
                match = _NAME.match(body, token.start())
                if match is None:
                    break
                name, start, value_start = _name_of(match), token.start(), match.end()
                position, at_name = match.end(), False
            elif text in (b"{", b"["):
                depth += 1
                at_name = depth == 1
            elif depth == 1 and text in (b",", b"}"):
                if value_start:
                    self._found(name, start, value_start, _before_space(body, token.start()))
                at_name = text == b","
                depth -= text == b"}"
            elif text in (b"]", b"}"):
                depth -= 1

    def _found(self, name: str, start: int, value_start: int, end: int) -> None:
        if name in self.spans:
            if name in self._single:
                self._spans = None
                raise DoubledNameError(name)
            self._doubled.add(name)
        self.spans[name] = (value_start, end)
        self._starts.append((name, start, end))


def _before_space(body: bytes, end: int) -> int:
    while body[end - 1] in b" \t\n\r":
        end -= 1
    return end


def _name_of(match: re.Match[bytes]) -> str:
    name = match[1]
    return _decode_name(b'"' + name + b'"') if b"\\" in name else name.decode()
