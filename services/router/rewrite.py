"""What must change in a request that stays in its dialect: the model's name, the wish for usage; no other byte."""

import re

import msgspec

from shared.wire.splice import Members

_decode_options = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_COLON = re.compile(rb"[ \t\r\n]*:[ \t\r\n]*")
_TRUE = msgspec.Raw(b"true")
_ASK = b'{"include_usage":true}'


class Rewritten(msgspec.Struct, frozen=True):
    """The body to send, and how many choices it asks for."""

    body: bytes
    choices: int = 1


def rewrite(body: bytes, asked_model: str, model: str, *, ask_usage: bool) -> Rewritten:
    """The body for this provider."""
    if asked_model == model and not ask_usage:
        return Rewritten(body)
    if (quick := _quickly(body, asked_model, model, ask_usage=ask_usage)) is not None:
        return Rewritten(quick)
    members = Members(body)
    replace: dict[str, bytes] = {}
    if asked_model != model:
        replace["model"] = msgspec.json.encode(model)
    if ask_usage and (options := _with_usage(members.raw("stream_options"))) is not None:
        replace["stream_options"] = options
    return Rewritten(_spliced(members, replace), _choices(members.raw("n")))


def _quickly(body: bytes, asked_model: str, model: str, *, ask_usage: bool) -> bytes | None:
    """The usual case without reading the whole body: the name stands in one place, and nothing is said of usage."""
    at = body.find(b'"model"')
    if at < 0 or body.find(b'"model"', at + 7) >= 0:
        return None
    colon, quoted = _COLON.match(body, at + 7), msgspec.json.encode(asked_model)
    if colon is None or not body.startswith(quoted, colon.end()):
        return None
    end = len(body)
    if ask_usage:
        if b'"stream_options"' in body or b'"n"' in body or not body.endswith(b"}"):
            return None
        end -= 1
    tail = b',"stream_options":%b}' % _ASK if ask_usage else b""
    return b"".join((body[: colon.end()], msgspec.json.encode(model), body[colon.end() + len(quoted) : end], tail))


def _spliced(members: Members, replace: dict[str, bytes]) -> bytes:
    """The object with these values put in their places, even the white space between members kept."""
    body = members.body
    there = sorted((members.spans[name], value) for name, value in replace.items() if name in members)
    pieces, position = [], 0
    for (start, end), value in there:
        pieces += [body[position:start], value]
        position = end
    added = b"".join(b',"%b":%b' % (name.encode(), value) for name, value in replace.items() if name not in members)
    if added:
        last = max(end for _, end in members.spans.values())
        pieces += [body[position:last], added]
        position = last
    return b"".join([*pieces, body[position:]])


def _with_usage(options: bytes | None) -> bytes | None:
    """The stream options with usage asked for; None when they already ask, or are not what they should be."""
    if options is None or options == b"null":
        return _ASK
    try:
        members = _decode_options(options)
    except msgspec.MsgspecError:
        return None
    if "include_usage" in members and bytes(members["include_usage"]) == b"true":
        return None
    return msgspec.json.encode({**members, "include_usage": _TRUE})


def _choices(raw: bytes | None) -> int:
    return int(raw) if raw is not None and raw.isdigit() and len(raw) < 4 else 1
