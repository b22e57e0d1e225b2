"""The built-in provider: canned, labelled answers in both dialects without any network. It can call a tool."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from services.router.catalog import Listed, Target
from services.router.estimate import by_characters, by_size
from services.router.exchange import Exchange, Prepared
from services.router.providers.anthropic import read_message
from services.router.providers.base import Provider, StreamReader, Whole, asked
from services.router.providers.openai import read_completion
from shared import clock
from shared.config.providers import Provider as ProviderConfig
from shared.config.providers import Timeouts
from shared.http_client import Session
from shared.ids import new_id
from shared.messages.gateway import Call
from shared.translate.stream import AnthropicWatcher, OpenAIWatcher
from shared.wire.dialect import Dialect
from shared.wire.json_text import encode, encode_text
from shared.wire.sse import OPENAI_DONE, encode_object

MODEL = "demo"
_SAMPLES: Mapping[str, Any] = {"integer": 1, "number": 1, "boolean": True, "array": [], "object": {}, "null": None}
_GREETING = (
    "This is Tollway's built-in demo model: the answer is canned and no provider was asked. "
    "Configure a provider and the same request is answered by a real model."
)


class DemoProvider(Provider):
    """Answers in the dialect it is asked in, so that nothing has to be translated."""

    dialect: Dialect = "openai"

    def __init__(self, name: str, config: ProviderConfig, timeouts: Timeouts, session: Session) -> None:
        super().__init__(name, config, timeouts, session)
        self._listed = [Listed(MODEL, display_name="Demo")]

    def prepare(self, call: Call, target: Target, key: str) -> Prepared:
        """Nothing is sent anywhere."""
        return Prepared("", {}, call.body)

    async def ask(self, call: Call, prepared: Prepared) -> Exchange:
        """The whole exchange, made up here."""
        return DemoExchange(answer(call), stream=call.stream)

    def reader(self, call: Call, prepared: Prepared) -> StreamReader:
        """The client's own dialect is spoken."""
        return AnthropicWatcher() if call.dialect == "anthropic" else OpenAIWatcher(include_usage=call.include_usage)

    def whole(self, call: Call, prepared: Prepared, body: bytes) -> Whole:
        """The client's answer."""
        return Whole(body, read_message(body) if call.dialect == "anthropic" else read_completion(body))

    def list_request(self, key: str) -> tuple[str, dict[str, str]]:
        """There is no list to ask for."""
        return "", {}

    def read_list(self, body: bytes) -> list[Listed]:
        """Itself."""
        return self._listed


class DemoExchange:
    """A made-up exchange; a stream comes word by word."""

    def __init__(self, pieces: list[bytes], *, stream: bool) -> None:
        self.status = 200
        kind = "text/event-stream" if stream else "application/json"
        self.headers: Mapping[str, str] = {"content-type": kind}
        self._pieces = iter(pieces)
        self.at_end = False

    async def read(self) -> bytes:
        """The next piece."""
        piece = next(self._pieces, b"")
        self.at_end = not piece
        return piece

    def close(self) -> None:
        """Nothing is connected."""
        self._pieces = iter(())


def answer(call: Call) -> list[bytes]:
    """The pieces of the answer."""
    request = asked(call.body)
    saying = _say(_objects(request.get("messages")), _objects(request.get("tools")))
    used = (by_size(call.body), by_characters(saying.text) + (8 if saying.tool else 0))
    make = _Anthropic(saying, used) if call.dialect == "anthropic" else _OpenAI(saying, used)
    return list(make.stream()) if call.stream else [encode(make.whole())]


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


@dataclass(frozen=True)
class _Saying:
    """What is answered: words, or a wish to call a tool."""

    text: str = ""
    tool: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)


def _say(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> _Saying:
    """The words, or the tool to call if the user's newest words name one that is offered."""
    last = messages[-1] if messages else {}
    results = _results(last)
    if results:
        return _Saying(f"[demo] The tool said: {' | '.join(results)}")
    said = _text(last.get("content"))
    for tool in tools:
        told = tool.get("function")
        told = told if isinstance(told, dict) else tool
        name = told.get("name")
        if isinstance(name, str) and name and name in said:
            schema = told.get("parameters", told.get("input_schema"))
            return _Saying(tool=name, arguments=_arguments(schema, said.replace(name, "").strip() or said))
    earlier = [_text(message.get("content")) for message in messages[:-1] if message.get("role") == "user"]
    # so that a session shows itself without any key
    remembered = f" Before that you said: {' | '.join(earlier)[-500:]}" if any(earlier) else ""
    return _Saying(f"[demo] {_GREETING} You said: {said[:500]}{remembered}")


def _arguments(schema: Any, said: str) -> dict[str, Any]:
    """Something for each required argument: the user's words where text is wanted."""
    known = schema if isinstance(schema, dict) else {}
    properties, required = known.get("properties"), known.get("required")
    if not isinstance(properties, dict) or not isinstance(required, list):
        return {}
    return {name: _argument(properties.get(name), said) for name in required if isinstance(name, str)}


def _argument(schema: Any, said: str) -> Any:
    told = schema if isinstance(schema, dict) else {}
    choices = told.get("enum")
    if isinstance(choices, list) and choices:
        return choices[0]
    kind = told.get("type")
    return _SAMPLES.get(kind, said) if isinstance(kind, str) else said


def _results(message: dict[str, Any]) -> list[str]:
    if message.get("role") == "tool":
        return [_text(message.get("content"))]
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    return [_text(p.get("content")) for p in parts if isinstance(p, dict) and p.get("type") == "tool_result"]


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict) and part.get("text"))


def _words(text: str) -> list[str]:
    words = text.split(" ")
    return [word if i == len(words) - 1 else f"{word} " for i, word in enumerate(words)] if text else []


class _OpenAI:
    """The answer as chat completions."""

    def __init__(self, saying: _Saying, used: tuple[int, int]) -> None:
        self._text, self._tool, self._arguments = saying.text, saying.tool, saying.arguments
        self._head = {"id": f"chatcmpl-{new_id()}", "created": int(clock.now()), "model": MODEL}
        self._usage = {"prompt_tokens": used[0], "completion_tokens": used[1], "total_tokens": sum(used)}
        self._finish = "tool_calls" if saying.tool else "stop"

    def whole(self) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": self._text or None, "refusal": None}
        if self._tool:
            message["tool_calls"] = [self._call()]
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self._finish}
        return {**self._head, "object": "chat.completion", "choices": [choice], "usage": self._usage}

    def stream(self) -> Iterator[bytes]:
        yield self._chunk({"role": "assistant", "content": ""})
        for word in _words(self._text):
            yield self._chunk({"content": word})
        if self._tool:
            yield self._chunk({"tool_calls": [{"index": 0, **self._call()}]})
        yield self._chunk({}, self._finish)
        last = {**self._head, "object": "chat.completion.chunk", "choices": [], "usage": self._usage}
        yield encode_object(last) + OPENAI_DONE

    def _call(self) -> dict[str, Any]:
        function = {"name": self._tool, "arguments": encode_text(self._arguments)}
        return {"id": f"call_{new_id()}", "type": "function", "function": function}

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return encode_object({**self._head, "object": "chat.completion.chunk", "choices": [choice]})


class _Anthropic:
    """The answer as a message."""

    def __init__(self, saying: _Saying, used: tuple[int, int]) -> None:
        self._text, self._tool, self._arguments = saying.text, saying.tool, saying.arguments
        self._usage = {"input_tokens": used[0], "output_tokens": used[1]}
        self._head = {"id": f"msg_{new_id()}", "type": "message", "role": "assistant", "model": MODEL}
        self._finish = "tool_use" if saying.tool else "end_turn"

    def whole(self) -> dict[str, Any]:
        content: list[dict[str, Any]] = [{"type": "text", "text": self._text}] if self._text else []
        if self._tool:
            content.append(self._use(self._arguments))
        end = {"stop_reason": self._finish, "stop_sequence": None, "usage": self._usage}
        return {**self._head, "content": content, **end}

    def stream(self) -> Iterator[bytes]:
        begun: dict[str, Any] = {
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {**self._usage, "output_tokens": 1},
        }
        yield self._event("message_start", message={**self._head, **begun})
        yield self._event(
            "content_block_start", index=0, content_block=self._use({}) if self._tool else {"type": "text", "text": ""}
        )
        for word in _words(self._text):
            yield self._event("content_block_delta", index=0, delta={"type": "text_delta", "text": word})
        if self._arguments:
            delta = {"type": "input_json_delta", "partial_json": encode_text(self._arguments)}
            yield self._event("content_block_delta", index=0, delta=delta)
        yield self._event("content_block_stop", index=0)
        stop = {"stop_reason": self._finish, "stop_sequence": None}
        yield self._event("message_delta", delta=stop, usage={"output_tokens": self._usage["output_tokens"]})
        yield self._event("message_stop")

    def _use(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return {"type": "tool_use", "id": f"toolu_{new_id()}", "name": self._tool, "input": arguments}

    def _event(self, kind: str, **members: Any) -> bytes:
        return encode_object({"type": kind, **members}, kind)
