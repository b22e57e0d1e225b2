"""Streams whose two sides speak the same dialect: bytes go through, the watcher only looks and keeps them clean."""

from typing import Any

import msgspec
from msgspec import UNSET

from shared.translate.errors import UpstreamError, error_of
from shared.translate.mend import ChunkMender
from shared.translate.progress import Progress
from shared.wire.frames import Choice, Chunk, Delta, Event, EventDelta, read_chunk, read_event
from shared.wire.json_text import decode, decode_object, encode
from shared.wire.sse import DONE, OPENAI_DONE, SseEvent, encode_event
from shared.wire.usage import TokenUsage

_MESSAGE_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_members = msgspec.structs.astuple
_MEMBERS_BESIDE_CONTENT = len(msgspec.structs.fields(Delta)) - 1
_KEEP_ALIVES = frozenset({"ping", "keepalive", "keep-alive", "heartbeat"})
_decode_raw = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class OpenAIWatcher(Progress):
    """Relays an OpenAI provider's chunks; the client sees usage once, last, and only when it asked.

    With an `input_estimate`, a client that asked is told an estimate where the provider told nothing.
    """

    def __init__(self, *, include_usage: bool = False, choices: int = 1, input_estimate: int = 0) -> None:
        super().__init__()
        self._input_estimate = input_estimate
        self._last_chunk = b"{}"
        self._include_usage = include_usage
        self._choices = choices
        self._finished_choices: set[Any] = set()
        self._done = False
        self._usage_relayed = False
        self._usage_chunk: bytes | None = None
        self._mender = ChunkMender()
        self._has_role = False

    def feed(self, event: SseEvent) -> bytes | None:
        """The bytes to relay for this event, if any."""
        if self._done or self.failure is not None:
            return None
        if event.data == DONE:
            return b"".join([*self._unsaid_ends(), *self.finish()]) or None
        frame = read_chunk(event.data)
        if frame is None:
            self.dropped += 1
            return None
        if frame.error:
            self.failure = error_of(decode(event.data), 200, "openai", body=event.data)
            return None
        if frame.choices is None and frame.usage is None and frame.id is None:
            # A keep-alive dressed as data: clients would take it for a chunk without choices.
            return None
        if frame.choices and not (self._has_role and self._only_adds_text(frame.choices)):
            self._last_chunk = event.data
            self._look(frame)
            if self.failure is not None:
                return None
            mended = self._mender.mend(event.data, frame)
            self._has_role = True
            if mended is not None:
                event = SseEvent(event.event, mended, b"")
        if isinstance(frame.usage, dict):
            return self._take_usage(event, frame)
        return event.raw if event.event is None and event.is_clean else _cleaned(event)

    def finish(self) -> list[bytes]:
        """What is still owed when the upstream stream has ended: nothing, unless it had come to its end."""
        if self._done or not self.finished or self.failure is not None:
            return []
        self._done = True
        usage_chunk, self._usage_chunk = self._usage_chunk, None
        if not self._include_usage or self._usage_relayed:
            return [OPENAI_DONE]
        if usage_chunk is None and self._input_estimate:
            usage = TokenUsage(self._input_estimate, self.estimated_output_tokens)
            usage_chunk = _usage_chunk(self._last_chunk, msgspec.Raw(encode(usage.to_openai())))
        return [OPENAI_DONE] if usage_chunk is None else [encode_event(usage_chunk), OPENAI_DONE]

    def _unsaid_ends(self) -> list[bytes]:
        """The finish of a provider that leaves it out and yet says that it is done."""
        if self.finished or not self.started_content:
            return []
        self.finished = True
        ends = []
        for number in sorted(set(range(self._choices)) - self._finished_choices):
            choice = {"index": number, "delta": {}, "logprobs": None, "finish_reason": "stop"}
            data = encode({**_common_of(self._last_chunk), "choices": [choice]})
            frame = read_chunk(data)
            mended = None if frame is None else self._mender.mend(data, frame)
            ends.append(encode_event(mended or data))
        return ends

    def _only_adds_text(self, choices: list[Choice]) -> bool:
        """Whether a chunk does what nearly all do; its text is counted then, and nothing about it needs mending."""
        choice = choices[0]
        if self._choices > 1 or len(choices) > 1 or choice.delta is None or choice.finish_reason is not None:
            return False
        content = choice.delta.content
        if type(content) is not str or not content or _members(choice.delta).count(UNSET) < _MEMBERS_BESIDE_CONTENT:
            return False
        self.started_content = True
        self.count_text(content)
        return True

    def _look(self, frame: Chunk) -> None:
        for choice in frame.choices or ():
            if choice.delta is not None:
                self._look_at_delta(choice.delta)
            if choice.finish_reason:
                if choice.finish_reason == "error":
                    self.failure = UpstreamError(502, None, None, "the provider ended the answer with an error")
                    return
                self.started_content = True
                self._finished_choices.add(choice.number)
                self.finished = len(self._finished_choices) >= self._choices

    def _look_at_delta(self, delta: Delta) -> None:
        text = delta.content
        if text:
            self.started_content = True
            self.count_text(text if isinstance(text, str) else encode(text).decode())
            return
        reasoning = delta.reasoning_content or delta.reasoning or delta.refusal
        if reasoning:
            self.started_content = True
            self.count_text(reasoning if isinstance(reasoning, str) else encode(reasoning).decode())
        for call in delta.tool_calls or ():
            self.started_content = True
            function = call.function or call.custom
            for piece in (function.name, function.arguments, function.input) if function else ():
                if isinstance(piece, str):
                    self.count_text(piece)
        if delta.function_call:
            self.started_content = True
            if isinstance(delta.function_call.arguments, str):
                self.count_text(delta.function_call.arguments)
        if delta.audio or delta.images or delta.thinking_blocks or delta.reasoning_details:
            self.started_content = True

    def _take_usage(self, event: SseEvent, frame: Chunk) -> bytes | None:
        """Keeps the usage for the end; a chunk that has more in it goes on without."""
        self.usage = self.usage.merge(TokenUsage.from_openai(frame.usage))
        members = _members_of(event.data)
        if not frame.choices:
            self._usage_chunk = encode({**members, "choices": []}) if frame.choices is None else event.data
            if not self.finished or not self._include_usage or self._usage_relayed:
                return None
            self._usage_relayed = True
            sound = event.is_clean and frame.choices is not None
            return event.raw if sound else encode_event(self._usage_chunk)
        self._usage_chunk = _usage_chunk(event.data, members.pop("usage"))
        return encode_event(encode(members))


def _usage_chunk(chunk: bytes, usage: msgspec.Raw) -> bytes:
    """A chunk of usage alone, of the same answer as another chunk."""
    return encode({**_common_of(chunk), "choices": [], "usage": usage})


def _common_of(chunk: bytes) -> dict[str, msgspec.Raw]:
    """What all chunks of an answer have in common."""
    members = _members_of(chunk)
    return {key: members[key] for key in ("id", "object", "created", "model") if key in members}


def _members_of(chunk: bytes) -> dict[str, msgspec.Raw]:
    """The members with their exact bytes; with repaired ones where the strict reader would give up."""
    try:
        return _decode_raw(chunk)
    except msgspec.DecodeError:
        return {name: msgspec.Raw(encode(value)) for name, value in decode_object(chunk).items()}


class AnthropicWatcher(Progress):
    """Relays the events of an Anthropic provider to an Anthropic client, each under its name."""

    def __init__(self) -> None:
        super().__init__()
        self._done = False

    def feed(self, event: SseEvent) -> bytes | None:
        """The bytes to relay for this event, if any."""
        if self._done or self.failure is not None or event.data == DONE:
            return None
        frame = read_event(event.data)
        if frame is None:
            self.dropped += 1
            return None
        kind = frame.type
        if kind == "error" or frame.error is not None:
            self.failure = error_of(decode(event.data), 200, "anthropic", body=event.data)
            return None
        if kind == "content_block_delta":
            if frame.delta is not None:
                self._look_at_delta(frame.delta)
        else:
            self._look(kind, frame)
        # A type that is no plain word could end the line it is written on.
        name = kind if isinstance(kind, str) and kind.isidentifier() else event.event
        if name == event.event and event.is_clean:
            return event.raw
        return None if name is None else encode_event(event.data, name)

    def finish(self) -> list[bytes]:
        """What is still owed when the upstream stream has ended: nothing, unless it had come to its end."""
        if self._done or not self.finished or self.failure is not None:
            return []
        self._done = True
        return [_MESSAGE_STOP]

    def _look_at_delta(self, delta: EventDelta) -> None:
        for text in (delta.text, delta.thinking, delta.partial_json):
            if text and isinstance(text, str):
                self.started_content = True
                self.count_text(text)

    def _look(self, kind: Any, frame: Event) -> None:
        if kind == "message_start":
            message = frame.message if isinstance(frame.message, dict) else {}
            self.usage = self.usage.merge(TokenUsage.from_anthropic(message.get("usage")))
        elif kind == "content_block_start" and frame.content_block is not None:
            block = frame.content_block
            if block.type not in ("text", "thinking") or block.text or block.thinking:
                self.started_content = True
        elif kind == "message_delta":
            self.usage = self.usage.merge(TokenUsage.from_anthropic(frame.usage))
            if frame.delta is not None and frame.delta.stop_reason:
                self.finished = self.started_content = True
        elif kind == "message_stop":
            # It is the protocol's own end, even where the provider gave no reason for it.
            self._done = self.finished = self.finished or self.started_content


def _cleaned(event: SseEvent) -> bytes | None:
    """The event without comments and stream control; a named keep-alive is nothing a client of chunks can read."""
    if event.event in _KEEP_ALIVES:
        return None
    if event.event is not None and event.is_clean:
        return event.raw
    return encode_event(event.data, event.event)
