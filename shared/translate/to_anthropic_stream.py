"""A chat completion stream told as a Messages stream."""

from typing import Any

from shared import ids
from shared.translate.errors import UpstreamError, error_of
from shared.translate.progress import Progress
from shared.translate.reasons import stop_reason
from shared.translate.segments import Segment, SegmentKind
from shared.translate.terms import UNSAID
from shared.wire.call_tracker import CallTracker
from shared.wire.frames import Chunk, Delta, FunctionDelta, ToolCallDelta, read_chunk
from shared.wire.json_text import decode, encode, encode_text
from shared.wire.lenient import objects, part_text, text
from shared.wire.sse import DONE, SseEvent, encode_object
from shared.wire.usage import TokenUsage

_MESSAGE_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


class OpenAIToAnthropic(Progress):
    """Takes the chunks of an OpenAI provider, gives the events of an Anthropic answer.

    `model` is the name told to the client (the provider's own when None); `input_estimate` fills
    `message_start` until the provider has told its count.
    """

    def __init__(self, *, model: str | None = None, answer_id: str | None = None, input_estimate: int = 0) -> None:
        super().__init__()
        self._model = model
        self._id = answer_id
        self._input_estimate = input_estimate
        self._opened = False
        self._closed = False
        self._finish: object = None
        self._index = -1
        self._delta_head = b""
        self._open_segment: Segment | None = None
        self._waiting: list[Segment] = []
        self._thought: Segment | None = None
        self._tracker = CallTracker()
        self._calls: list[Segment] = []

    def feed(self, event: SseEvent) -> list[bytes]:
        """The client events that this one gives."""
        if self._closed or self.failure is not None:
            return []
        if event.data == DONE:
            # Some providers say that they are done, but not why.
            self.finished = self.finished or self.started_content
            return self.finish()
        frame = read_chunk(event.data)
        if frame is None:
            self.dropped += 1
            return []
        if frame.error:
            self.failure = error_of(decode(event.data), 200, "openai", body=event.data)
            return []
        if frame.usage is not None:
            self.usage = self.usage.merge(TokenUsage.from_openai(frame.usage))
        if not frame.choices:
            # The usage chunk comes after the finish; nothing more is owed then.
            return self.finish() if self.finished and self.usage.is_told and frame.choices is not None else []
        return self._choice(frame)

    def finish(self) -> list[bytes]:
        """What is still owed when the upstream stream has ended: nothing, unless it had come to its end."""
        if self._closed or not self.finished or self.failure is not None:
            return []
        self._closed = True
        out: list[bytes] = []
        self._advance(out, ending=True)
        reason = stop_reason(self._finish, has_calls=bool(self._calls))
        delta = {"stop_reason": reason, "stop_sequence": None}
        told = {"type": "message_delta", "delta": delta, "usage": self._final_usage(), **self.losses}
        out.append(encode_object(told, "message_delta"))
        out.append(_MESSAGE_STOP)
        return out

    def _choice(self, frame: Chunk) -> list[bytes]:
        out = [] if self._opened else [self._open(frame)]
        for choice in frame.choices or ():
            if choice.number != 0:
                self.lossy.add("n")
                continue
            if choice.delta is not None:
                self._take_delta(choice.delta, out)
            if choice.finish_reason:
                if choice.finish_reason == "error":
                    self.failure = UpstreamError(502, None, None, "the provider ended the answer with an error")
                    return []
                self._finish = choice.finish_reason
                self.finished = self.started_content = True
        return out

    def _open(self, frame: Chunk) -> bytes:
        self._opened = True
        model = self._model or frame.model
        if self._id is None:
            tail = frame.id if isinstance(frame.id, str) and frame.id else ids.uuid7().hex
            self._id = f"msg_{tail.removeprefix('chatcmpl-')}"
        usage = self.usage.to_anthropic() if self.usage.input_tokens else {"input_tokens": self._input_estimate}
        message: dict[str, Any] = {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": model if isinstance(model, str) else "",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {**usage, "output_tokens": 0},
        }
        return encode_object({"type": "message_start", "message": message}, "message_start")

    def _final_usage(self) -> dict[str, Any]:
        """The counts of the end: an input of 0 would overwrite what the client already knows."""
        usage = self.usage.to_anthropic()
        if not usage["input_tokens"]:
            del usage["input_tokens"]
        if self.usage.output_tokens is None:
            usage["output_tokens"] = self.estimated_output_tokens
        return usage

    def _take_delta(self, delta: Delta, out: list[bytes]) -> None:
        reasoning = delta.reasoning_content or delta.reasoning
        if reasoning and isinstance(reasoning, str):
            self._flow("thinking", reasoning, out)
        if delta.thinking_blocks:
            self._take_signatures(delta.thinking_blocks, out)
        if delta.content:
            self._take_content(delta.content, out)
        if delta.refusal and isinstance(delta.refusal, str):
            self._flow("text", delta.refusal, out)
        if delta.tool_calls:
            for call in delta.tool_calls:
                self._take_call(call, out)
        if delta.function_call:
            self._take_call(ToolCallDelta(index="function_call", function=delta.function_call), out)
        if delta.audio or delta.images or delta.annotations:
            self.lossy.update(f"content.{name}" for name in UNSAID if getattr(delta, name))

    def _take_content(self, content: Any, out: list[bytes]) -> None:
        """Text; or, as some providers stream it, a list of parts of text and thinking."""
        if isinstance(content, str):
            self._flow("text", content, out)
            return
        for part in objects(content):
            kind: SegmentKind = "thinking" if part.get("type") == "thinking" else "text"
            if piece := part_text(part.get(kind)):
                self._flow(kind, piece, out)

    def _take_signatures(self, blocks: Any, out: list[bytes]) -> None:
        for block in objects(blocks):
            if block.get("type") == "redacted_thinking":
                self._flow("redacted", text(block.get("data")), out)
            elif text(block.get("signature")):
                self._sign(block, out)

    def _sign(self, block: dict[str, Any], out: list[bytes]) -> None:
        """Puts a signature on the thought it ends; a thought not told before is told now."""
        thought = self._thought
        if thought is None:
            thought = self._flow("thinking", text(block.get("thinking")), out)
        elif thought.complete:
            self.lossy.add("thinking.signature")
        thought.signature = block["signature"]
        self._thought = None

    def _flow(self, kind: SegmentKind, piece: str, out: list[bytes]) -> Segment:
        """Adds text to the newest segment when that is of its kind, to a new one otherwise."""
        newest = self._waiting[-1] if self._waiting else self._open_segment
        if newest is None or newest.kind != kind or newest.signature or kind == "redacted":
            newest = Segment(kind)
            self._waiting.append(newest)
        if kind == "thinking":
            self._thought = newest
        if piece:
            self.started_content = True
            self.count_text(piece)
            newest.add(piece)
        self._advance(out)
        return newest

    def _take_call(self, delta: ToolCallDelta, out: list[bytes]) -> None:
        function = delta.function or delta.custom or FunctionDelta()
        arguments = function.arguments
        if delta.custom:
            arguments = function.input
        if arguments and not isinstance(arguments, str):
            arguments = encode_text(arguments)
        position, begins = self._tracker.place(delta.index, delta.id, function.name, arguments)
        if begins:
            self._calls.append(Segment("tool"))
            self._waiting.append(self._calls[position])
        segment = self._calls[position]
        segment.is_wrapped = bool(delta.custom) or segment.is_wrapped
        if not segment.call_id and isinstance(delta.id, str):
            segment.call_id = delta.id
        if not segment.name and function.name and isinstance(function.name, str):
            segment.name = function.name
            self.count_text(function.name)
        if arguments:
            self.count_text(arguments)
            segment.add(arguments)
        self.started_content = True
        self._advance(out)

    def _advance(self, out: list[bytes], *, ending: bool = False) -> None:
        """Sends what may be sent: the open segment's news, then each waiting one as soon as it is its turn."""
        while True:
            current = self._open_segment
            if current is not None:
                if current.pieces and not current.is_wrapped:
                    out.append(self._delta(current.take()))
                if not ending and not (self._waiting and current.may_close()):
                    return
                self._close(current, out)
            if not self._waiting:
                return
            following = self._waiting[0]
            if following.kind == "tool" and not following.name and not ending:
                return
            self._start(self._waiting.pop(0), out)

    def _start(self, segment: Segment, out: list[bytes]) -> None:
        self._index += 1
        self._open_segment = segment
        block: dict[str, Any]
        if segment.kind == "text":
            block, head = {"type": "text", "text": ""}, b'"text_delta","text":'
        elif segment.kind == "redacted":
            block, head = {"type": "redacted_thinking", "data": segment.take()}, b""
        elif segment.kind == "thinking":
            block, head = (
                {"type": "thinking", "thinking": "", "signature": ""},
                b'"thinking_delta","thinking":',
            )
        else:
            call_id = segment.call_id or f"call_{str(self._id).removeprefix('msg_')}_{self._index}"
            block = {"type": "tool_use", "id": call_id, "name": segment.name, "input": {}}
            head = b'"input_json_delta","partial_json":'
        self._delta_head = (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":%b'
            % (self._index, head)
        )
        start = {"type": "content_block_start", "index": self._index, "content_block": block}
        out.append(encode_object(start, "content_block_start"))

    def _delta(self, piece: str) -> bytes:
        return b"%b%b}}\n\n" % (self._delta_head, encode(piece))

    def _close(self, segment: Segment, out: list[bytes]) -> None:
        if segment.is_wrapped:
            out.append(self._delta(encode_text({"input": "".join(segment.whole)})))
        elif segment.kind == "tool" and not segment.whole:
            out.append(self._delta("{}"))
        elif segment.kind == "thinking" and segment.signature:
            delta = {"type": "signature_delta", "signature": segment.signature}
            event = {"type": "content_block_delta", "index": self._index, "delta": delta}
            out.append(encode_object(event, "content_block_delta"))
        out.append(b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n' % self._index)
        segment.complete = True
        self._open_segment = None
