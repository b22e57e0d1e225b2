"""Answers as the gateway's wrappers make them: one that is complete, and one that passes another on and adds to it."""

from collections.abc import AsyncIterator, Mapping

from shared.messages.gateway import Answer, Ending


class WholeAnswer:
    """An answer whose pieces are all here."""

    def __init__(self, status: int, headers: Mapping[str, str], pieces: list[bytes], ending: Ending) -> None:
        self.status = status
        self.headers = headers
        self.ending: Ending | None = ending
        self._pieces = pieces

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        """The pieces."""
        return self._each()

    async def _each(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece

    async def close(self, status: str = "aborted") -> None:
        """There is nothing behind it."""


class PassedOn:
    """Another's answer with headers added; subclasses listen to its chunks and its ending."""

    def __init__(self, inner: Answer, headers: Mapping[str, str]) -> None:
        self._inner = inner
        self._headers = {**inner.headers, **headers}

    @property
    def status(self) -> int:
        """The inner answer's."""
        return self._inner.status

    @property
    def headers(self) -> Mapping[str, str]:
        """The inner answer's, with ours."""
        return self._headers

    @property
    def ending(self) -> Ending | None:
        """The inner answer's."""
        return self._inner.ending

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        """The inner answer's."""
        return self._inner.chunks

    async def close(self, status: str = "aborted") -> None:
        """Close the inner one."""
        await self._inner.close(status)


async def whole_body(answer: Answer) -> bytes:
    """All of an answer's body."""
    pieces = [piece async for piece in answer.chunks]
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
