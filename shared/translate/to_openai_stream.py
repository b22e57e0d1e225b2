"""A Messages stream told as a chat completion stream."""

from collections.abc import Callable
from typing import Any, ClassVar

from shared import clock, ids
from shared.translate.citations import annotations_of
from shared.translate.errors import error_of
from shared.translate.progress import Progress
from shared.translate.reasons import finish_reason
from shared.wire.frames import Block, Event, EventDelta, read_event
from shared.wire.json_text import NotJsonError, decode, encode, encode_text
from shared.wire.lenient import objects, text
from shared.wire.sse import DONE, OPENAI_DONE, SseEvent
from shared.wire.usage import TokenUsage

_SILENT_BLOCKS = frozenset({"text", "thinking", "redacted_thinking", "tool_use"})


class AnthropicToOpenAI(Progress):
    """Takes the events of an Anthropic provider, gives the chunks of an OpenAI answer.

    `model` is the name told to the client (the provider's own when None), `custom_tools` the names of tools
    that the client offered as `custom`, whose input travels wrapped in an object; `input_estimate` stands in for a
    count of input that the provider never told.
    """

    def __init__(
        self,
        *,
        model: str | None = None,
        answer_id: str | None = None,
        created: int | None = None,
        include_usage: bool = False,
        input_estimate: int = 0,
        legacy_functions: bool = False,
        custom_tools: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__()
        self._model = model
        self._id = answer_id
        self._created = int(clock.now()) if created is None else created
        self._include_usage = include_usage
        self._input_estimate = input_estimate
        self._legacy = legacy_functions
        self._custom_tools = custom_tools
        self._opened = False
        self._closed = False
        self._head = b""
        self._content_head = b""
        self._block: Block | None = None
        self._thinking: list[str] = []
        self._signature = ""
        self._arguments: list[str] = []
        self._tools = 0
        self._thoughts = 0
        self._said = 0
        self._block_began = 0
        self._citations: list[Any] = []
        self._annotations = 0

    def feed(self, event: SseEvent) -> list[bytes]:
        """The client events that this one gives."""
        if self._closed or self.failure is not None or event.data == DONE:
            return []
        frame = read_event(event.data)
        if frame is None:
            self.dropped += 1
            return []
        if frame.type == "error" or frame.error is not None:
            self.failure = error_of(decode(event.data), 200, "anthropic", body=event.data)
            return []
        handle = self._HANDLERS.get(frame.type) if isinstance(frame.type, str) else None
        return [] if handle is None else handle(self, frame)

    def finish(self) -> list[bytes]:
        """What is still owed when the upstream stream has ended: nothing, unless it had come to its end."""
        if self._closed or not self.finished or self.failure is not None:
            return []
        self._closed = True
        out = []
        if self._include_usage:
            usage = self.usage
            if usage.input_tokens is None:
                usage = usage.merge(TokenUsage(input_tokens=self._input_estimate))
            if usage.output_tokens is None:
                usage = usage.merge(TokenUsage(output_tokens=self.estimated_output_tokens))
            told = {"choices": [], "usage": usage.to_openai(), **self.losses}
            out.append(b"%b,%b\n\n" % (self._head, encode(told)[1:]))
        out.append(OPENAI_DONE)
        return out

    def _open(self, message: dict[str, Any]) -> list[bytes]:
        if self._opened:
            return []
        self._opened = True
        upstream_id, model = message.get("id"), self._model or message.get("model")
        if self._id is None:
            tail = upstream_id if isinstance(upstream_id, str) and upstream_id else ids.uuid7().hex
            self._id = f"chatcmpl-{tail}"
        common = {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": model if isinstance(model, str) else "",
        }
        self._head = b"data: " + encode(common)[:-1]
        self._content_head = self._head + b',"choices":[{"index":0,"delta":{"content":'
        return [self._chunk({"role": "assistant", "content": ""})]

    def _chunk(self, delta: dict[str, Any], finish: str | None = None, **beside: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return b"%b,%b\n\n" % (self._head, encode({"choices": [choice], **beside})[1:])

    def _message_start(self, frame: Event) -> list[bytes]:
        message = frame.message if isinstance(frame.message, dict) else {}
        self.usage = self.usage.merge(TokenUsage.from_anthropic(message.get("usage")))
        return self._open(message)

    def _block_start(self, frame: Event) -> list[bytes]:
        out = self._open({}) if self._block is None else self._block_stop(frame)
        block = self._block = frame.content_block or Block()
        block.type, block.name = text(block.type), text(block.name)
        self._thinking, self._arguments, self._signature = [], [], ""
        self._citations, self._block_began = [], self._said
        if block.type == "tool_use":
            self.started_content = True
            out.extend(self._tool_start(block))
        elif block.type == "text":
            self._citations += objects(block.citations)
            if isinstance(block.text, str) and block.text:
                out.append(self._text(block.text))
        elif block.type == "thinking":
            if isinstance(block.thinking, str) and block.thinking:
                out.append(self._thought(block.thinking))
            if isinstance(block.signature, str):
                self._signature = block.signature
        elif block.type not in _SILENT_BLOCKS:
            self.lossy.add(f"content.{block.type}")
        return out

    def _block_delta(self, frame: Event) -> list[bytes]:
        delta = frame.delta
        if delta is None:
            return []
        if delta.type == "text_delta" and isinstance(delta.text, str):
            return self._with_open(self._text, delta.text)
        if delta.type == "thinking_delta" and isinstance(delta.thinking, str):
            return self._with_open(self._thought, delta.thinking)
        if delta.type == "input_json_delta" and isinstance(delta.partial_json, str):
            return self._tool_fragment(delta.partial_json)
        if delta.type == "signature_delta" and isinstance(delta.signature, str):
            self._signature = delta.signature
        elif delta.type == "citations_delta":
            self._citations += objects([delta.citation])
        return []

    def _with_open(self, emit: Callable[[str], bytes], piece: str) -> list[bytes]:
        if not piece:
            return []
        return [emit(piece)] if self._opened else [*self._open({}), emit(piece)]

    def _text(self, piece: str) -> bytes:
        self.started_content = True
        self.count_text(piece)
        self._said += len(piece)
        return b'%b%b},"logprobs":null,"finish_reason":null}]}\n\n' % (self._content_head, encode(piece))

    def _thought(self, piece: str) -> bytes:
        self.started_content = True
        self.count_text(piece)
        self._thinking.append(piece)
        return self._chunk({"reasoning_content": piece})

    def _tool_start(self, block: Block) -> list[bytes]:
        name = block.name
        self.count_text(name)
        if self._legacy and self._tools:
            self.lossy.add("tool_calls")
            return []
        if self._legacy:
            return [self._chunk({"function_call": {"name": name, "arguments": ""}})]
        call_id = block.id if isinstance(block.id, str) and block.id else f"call_{self._id}_{self._tools}"
        if name in self._custom_tools:
            call: dict[str, Any] = {"type": "custom", "custom": {"name": name, "input": ""}}
        else:
            call = {"type": "function", "function": {"name": name, "arguments": ""}}
        return [self._chunk({"tool_calls": [{"index": self._tools, "id": call_id, **call}]})]

    def _tool_fragment(self, fragment: str) -> list[bytes]:
        block = self._block
        if not fragment or block is None or block.type != "tool_use":
            return []
        self._arguments.append(fragment)
        self.count_text(fragment)
        return [] if block.name in self._custom_tools else self._tool_delta(block, fragment)

    def _tool_delta(self, block: Block, fragment: str) -> list[bytes]:
        if self._legacy:
            return [self._chunk({"function_call": {"arguments": fragment}})] if not self._tools else []
        key, part = "function", {"arguments": fragment}
        if block.name in self._custom_tools:
            key, part = "custom", {"input": fragment}
        return [self._chunk({"tool_calls": [{"index": self._tools, key: part}]})]

    def _block_stop(self, _frame: Event) -> list[bytes]:
        block, self._block = self._block, None
        if block is None:
            return []
        if block.type == "tool_use":
            out = self._tool_stop(block)
            self._tools += 1
            return out
        if block.type == "thinking":
            thought = {"type": "thinking", "thinking": "".join(self._thinking), "signature": self._signature}
            return [self._signed(thought)] if self._signature else []
        if block.type == "redacted_thinking":
            return [self._signed({"type": "redacted_thinking", "data": block.data})]
        return self._cited() if self._citations else []

    def _cited(self) -> list[bytes]:
        """A text block's citations; `index` lets SDKs add up the list."""
        self.lossy.add("citations")
        made = annotations_of(self._citations, self._block_began, self._said)
        told = [{"index": self._annotations + at, **annotation} for at, annotation in enumerate(made)]
        self._annotations += len(told)
        return [self._chunk({"annotations": told})] if told else []

    def _tool_stop(self, block: Block) -> list[bytes]:
        whole = "".join(self._arguments)
        rest = ""
        if not whole.strip():
            rest = whole = _whole_input(block)
            self.count_text(whole)
        if block.name in self._custom_tools:
            rest = unwrapped_input(whole)
        return self._tool_delta(block, rest) if rest else []

    def _signed(self, thought: dict[str, Any]) -> bytes:
        """A finished thought as the client hands it back later; `index` lets SDKs add up the list."""
        self.started_content = True
        self._thoughts += 1
        return self._chunk({"thinking_blocks": [{"index": self._thoughts - 1, **thought}]})

    def _message_delta(self, frame: Event) -> list[bytes]:
        self.usage = self.usage.merge(TokenUsage.from_anthropic(frame.usage))
        delta = frame.delta
        return [] if self.finished or delta is None or not delta.stop_reason else self._end(frame, delta)

    def _end(self, frame: Event, delta: EventDelta) -> list[bytes]:
        self.finished = self.started_content = True
        out = [*self._open({}), *self._block_stop(frame)]
        finish = finish_reason(delta.stop_reason, has_calls=self._tools > 0)
        if finish == "tool_calls" and self._legacy:
            finish = "function_call"
        refusal = _refusal(delta)
        if refusal is not None:
            out.append(self._chunk({"refusal": refusal}))
        out.append(self._chunk({}, finish, **self.losses))
        return out

    def _message_stop(self, frame: Event) -> list[bytes]:
        # It is the protocol's own end, even where the provider gave no reason for it.
        unsaid = self._end(frame, EventDelta()) if self.started_content and not self.finished else []
        return [*unsaid, *self.finish()]

    _HANDLERS: ClassVar[dict[Any, Callable[["AnthropicToOpenAI", Event], list[bytes]]]] = {
        "content_block_delta": _block_delta,
        "message_start": _message_start,
        "content_block_start": _block_start,
        "content_block_stop": _block_stop,
        "message_delta": _message_delta,
        "message_stop": _message_stop,
    }


def _whole_input(block: Block) -> str:
    """The input that came whole with the block's start; a call without arguments has an empty object."""
    whole = bytes(block.input).decode("utf-8", "replace").strip()
    return whole if whole not in ("", "null") else "{}"


def unwrapped_input(arguments: str) -> str:
    """The text of a custom tool call, which an Anthropic model gave as `{"input": text}`."""
    try:
        value = decode(arguments)
    except NotJsonError:
        return arguments
    if isinstance(value, dict) and len(value) == 1 and "input" in value:
        value = value["input"]
    return value if isinstance(value, str) else encode_text(value)


def _refusal(delta: EventDelta) -> str | None:
    if delta.stop_reason != "refusal" or not isinstance(delta.stop_details, dict):
        return None
    explanation = delta.stop_details.get("explanation")
    return explanation if isinstance(explanation, str) and explanation else None
