"""What is known of an upstream stream while it runs, whoever relays or translates it."""

from typing import Any

from shared.translate.errors import UpstreamError
from shared.wire.usage import NOTHING_TOLD, TokenUsage


class Progress:
    """The state that the router reads between two events.

    `started_content` is False while only lifecycle frames came, `finished` is True once the protocol's
    own reason for the end was seen, `failure` is the provider's error event, `dropped` counts frames that
    were not JSON, `lossy` names what the answer held that the client's dialect cannot say.
    """

    def __init__(self) -> None:
        self.started_content = False
        self.finished = False
        self.usage: TokenUsage = NOTHING_TOLD
        self.failure: UpstreamError | None = None
        self.dropped = 0
        self.lossy: set[str] = set()
        self.output_characters = 0
        self.output_text_bytes = 0

    def count_text(self, text: str) -> None:
        """Adds generated text of any kind to the counters that an interrupted answer is estimated by."""
        self.output_characters += len(text)
        self.output_text_bytes += len(text) if text.isascii() else len(text.encode("utf-8", "replace"))

    @property
    def losses(self) -> dict[str, Any]:
        """The member of the stream's last frames that names what was lost: the headers were gone when it came."""
        return {"tollway": {"lossy": sorted(self.lossy)}} if self.lossy else {}

    @property
    def estimated_output_tokens(self) -> int:
        """A rough count: four narrow characters make a token, a wide one (three bytes or more) is a token."""
        wide = (self.output_text_bytes - self.output_characters) // 2
        narrow = max(0, self.output_characters - wide)
        return (narrow + 3) // 4 + wide
