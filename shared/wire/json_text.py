"""JSON as the wire carries it: read strictly, then once more with the mistakes that real providers make."""

import json
from typing import Any, NoReturn

import msgspec

# Decimals stand for numbers whose spelling must survive, so they are written as numbers.
encode = msgspec.json.Encoder(decimal_format="number").encode
_decode = msgspec.json.Decoder().decode
_decode_exactly = msgspec.json.Decoder(float_hook=msgspec.Raw).decode


class NotJsonError(ValueError):
    """The bytes are not one JSON value."""


def _refuse_constant(name: str) -> NoReturn:
    raise NotJsonError(name)


def decode(data: bytes | str) -> Any:
    """The value of `data`; a lone surrogate, which some providers cut an emoji into, becomes U+FFFD."""
    try:
        return _decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return _decode_leniently(data)


def _decode_leniently(data: bytes | str) -> Any:
    text = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    try:
        value = json.loads(text.removeprefix(b"\xef\xbb\xbf"), parse_constant=_refuse_constant)
        repaired = json.dumps(value, ensure_ascii=False).encode("utf-16-le", "surrogatepass")
        return _decode(repaired.decode("utf-16-le", "replace"))
    except (ValueError, RecursionError, msgspec.DecodeError) as error:
        raise NotJsonError("not one JSON value") from error


def decode_exactly(data: bytes | str) -> Any:
    """The value of `data` with decimals as raw text, so that encoding it spells them as they came; raises
    msgspec.DecodeError.
    """
    return _decode_exactly(data)


def decode_object(data: bytes | str) -> dict[str, Any]:
    """As `decode`, for a value that has to be an object."""
    value = decode(data)
    if not isinstance(value, dict):
        raise NotJsonError("not a JSON object")
    return value


def encode_text(value: Any) -> str:
    """`value` as JSON text, for the places where JSON travels inside a string."""
    return encode(value).decode()
