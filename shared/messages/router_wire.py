"""How a call and its answer travel when gateway and router are two processes.

`POST /internal/call` takes a msgpack `Call`. The answer's status and headers are HTTP's own; the header
`x-tollway-frames: 1` says that the body is frames: the answer's bytes as they come, and behind the last of them one
ending. A body that breaks off before its ending was cut. An answer without that header is a refusal of the router
itself (wrong token, stopping).
"""

import struct

import msgspec

from shared.messages.gateway import Call, Ending

CALL_PATH = "/internal/call"
MODELS_PATH = "/internal/models"
EXPLAIN_PATH = "/internal/explain"
INTERNAL_TOKEN = "x-tollway-internal"  # noqa: S105 -- the header's name
FRAMES = "x-tollway-frames"

_HEAD = struct.Struct(">BI")
_DATA, _ENDING = 0, 1
_MOST = 1 << 30

_encode = msgspec.msgpack.Encoder().encode
_decode_call = msgspec.msgpack.Decoder(Call).decode
_decode_ending = msgspec.msgpack.Decoder(Ending).decode


class BrokenFrame(ValueError):
    """The bytes are not frames."""


def encode_call(call: Call) -> bytes:
    """The request body."""
    return _encode(call)


def decode_call(data: bytes) -> Call:
    """The call in a request body; raises msgspec.MsgspecError."""
    return _decode_call(data)


def data_frame(data: bytes) -> bytes:
    """A piece of the answer's body."""
    return _HEAD.pack(_DATA, len(data)) + data


def ending_frame(ending: Ending) -> bytes:
    """What comes behind the last piece."""
    data = _encode(ending)
    return _HEAD.pack(_ENDING, len(data)) + data


class FrameReader:
    """Turns the bytes of a framed body, cut anywhere, into what was sent."""

    def __init__(self) -> None:
        self._rest = b""
        self.ending: Ending | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """The pieces of the answer's body that `data` completes; the ending, once it came, is at `ending`."""
        if self._rest:
            data = self._rest + data
        pieces: list[bytes] = []
        position, size = 0, len(data)
        while size - position >= _HEAD.size:
            kind, length = _HEAD.unpack_from(data, position)
            if kind > _ENDING or length > _MOST:
                raise BrokenFrame("not a frame of an answer")
            start, end = position + _HEAD.size, position + _HEAD.size + length
            if end > size:
                break
            if kind == _ENDING:
                self.ending = _decode_ending(data[start:end])
            else:
                pieces.append(data[start:end])
            position = end
        self._rest = data[position:]
        return pieces
