"""What an answer said, listened to while its bytes pass by."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from services.gateway.answers import PassedOn
from shared.messages.gateway import Answer, Call, Dialect, Ending
from shared.wire import anthropic, openai
from shared.wire.json_text import decode_exactly
from shared.wire.sse import DONE, SseReader

_TERMINAL = (b"[DONE]", b"message_stop")


class Transcript:
    """Adds up the bytes of an answer, streamed or whole, to the answer and the message it gave."""

    def __init__(self, dialect: Dialect, *, stream: bool) -> None:
        self._dialect = dialect
        self._reader = SseReader() if stream else None
        self._pieces: list[bytes] = []
        self._openai = openai.OpenAIAccumulator()
        self._anthropic = anthropic.AnthropicAccumulator()

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        if self._reader is None:
            self._pieces.append(chunk)
            return
        for event in self._reader.feed(chunk):
            if event.data == DONE:
                continue
            try:
                value = decode_exactly(event.data)
            except (msgspec.DecodeError, RecursionError):
                continue
            if isinstance(value, dict):
                (self._openai if self._dialect == "openai" else self._anthropic).feed(value)

    def answer(self) -> dict[str, Any] | None:
        """The complete answer, as it would have come without streaming; None when it was not one."""
        if self._reader is not None:
            return self._openai.answer() if self._dialect == "openai" else self._anthropic.answer()
        try:
            value = decode_exactly(b"".join(self._pieces))
        except (msgspec.DecodeError, RecursionError):
            return None
        return value if isinstance(value, dict) else None

    def message(self) -> dict[str, Any] | None:
        """The assistant's message as it goes into a history; None when nothing was said."""
        answer = self.answer()
        if answer is None:
            return None
        if self._dialect == "anthropic":
            content = answer.get("content")
            return {"role": "assistant", "content": content} if isinstance(content, list) and content else None
        message = openai.message_of(answer)
        said = (
            message.get("content")
            or message.get("tool_calls")
            or message.get("refusal")
            or message.get("function_call")
        )
        if not said:
            return None
        return {name: value for name, value in message.items() if value is not None or name == "content"}


class Heard(PassedOn, ABC):
    """An answer that is listened to; its end is held back until what was heard is kept, so that the client's next
    request finds it.
    """

    def __init__(self, inner: Answer, headers: Mapping[str, str], call: Call) -> None:
        super().__init__(inner, headers)
        self._call = call
        self._transcript = Transcript(call.dialect, stream=call.stream)

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        """The inner answer's; what comes with its end comes last."""
        return self._listened()

    async def _listened(self) -> AsyncIterator[bytes]:
        held: list[bytes] = []
        async for chunk in self._inner.chunks:
            self._transcript.feed(chunk)
            if held or not self._call.stream or any(word in chunk for word in _TERMINAL):
                held.append(chunk)
            else:
                yield chunk
        await self._heard(self._inner.ending)
        for chunk in held:
            yield chunk

    @abstractmethod
    async def _heard(self, ending: Ending | None) -> None:
        """Keep what was heard; called once, before the end is passed on."""
