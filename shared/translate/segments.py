"""The parts of an answer that arrive mixed and must leave one after the other.

OpenAI's deltas may interleave text, reasoning and several tool calls; Anthropic's blocks may not. Each
part is a segment; the first that is not complete goes out as it comes, the others wait behind it.
"""

from typing import Literal

from shared.wire.json_text import NotJsonError, decode

SegmentKind = Literal["text", "thinking", "redacted", "tool"]


class Segment:
    """One block to be: what it is and the pieces that have not gone out yet.

    `is_wrapped` is for the input of a custom tool, plain text that has to become an object when it is whole.
    """

    __slots__ = ("call_id", "complete", "is_wrapped", "kind", "name", "pieces", "signature", "whole")

    def __init__(self, kind: SegmentKind, *, call_id: str = "", name: str = "") -> None:
        self.kind = kind
        self.call_id = call_id
        self.name = name
        self.signature = ""
        self.pieces: list[str] = []
        self.complete = False
        self.is_wrapped = False
        self.whole: list[str] = []

    def add(self, piece: str) -> None:
        """Takes a piece of text, reasoning or arguments."""
        if self.kind == "tool" and not self.whole and not self.is_wrapped:
            # Blank arguments are none; SDKs that parse as they go fail on them.
            piece = piece.lstrip()
        if piece:
            self.pieces.append(piece)
            if self.kind == "tool":
                self.whole.append(piece)

    def may_close(self) -> bool:
        """Whether nothing more can belong to it, given that another segment has begun.

        Text that comes later is a new block. Arguments are over when they are a whole JSON object; only a
        piece that ends in a brace can have made them one.
        """
        if self.complete or self.kind != "tool":
            return True
        if not self.is_wrapped and self.whole and self.whole[-1].rstrip().endswith("}"):
            try:
                decode("".join(self.whole))
            except NotJsonError:
                return False
            self.complete = True
        return self.complete

    def take(self) -> str:
        """What has not gone out yet, which then counts as gone."""
        text = self.pieces[0] if len(self.pieces) == 1 else "".join(self.pieces)
        self.pieces = []
        return text
