"""The built-in provider: canned, labelled answers in both dialects without any network. It can call a tool."""

from collections.abc import Iterator, Mapping
from typing import Any

from services.router.catalog import Listed, Target
from services.router.estimate import by_characters, by_size
from services.router.exchange import Exchange, Prepared
from services.router.providers.anthropic import read_message
from services.router.providers.base import Provider, StreamReader, Whole, asked
from services.router.providers.openai import read_completion
from shared import clock
from shared.config.schema import Provider as ProviderConfig
from shared.config.schema import Timeouts
from shared.http_client import Session
from shared.ids import new_id
from shared.messages.gateway import Call
from shared.translate.stream import AnthropicWatcher, OpenAIWatcher
from shared.wire.dialect import Dialect
from shared.wire.json_text import encode
from shared.wire.sse import OPENAI_DONE, encode_object

MODEL = "demo"
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
    text, tool = _say(_objects(request.get("messages")), _objects(request.get("tools")))
    used = (by_size(call.body), by_characters(text) + (8 if tool else 0))
    make = _Anthropic(text, tool, used) if call.dialect == "anthropic" else _OpenAI(text, tool, used)
    return list(make.stream()) if call.stream else [encode(make.whole())]


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _say(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> tuple[str, str | None]:
    """The text, and the tool to call if the user's newest words name one that is offered."""
    last = messages[-1] if messages else {}
    results = _results(last)
    if results:
        return f"[demo] The tool said: {' | '.join(results)}", None
    said = _text(last.get("content"))
    for tool in tools:
        function = tool.get("function")
        name = (function if isinstance(function, dict) else tool).get("name")
        if isinstance(name, str) and name and name in said:
            return "", name
    return f"[demo] {_GREETING} You said: {said[:500]}", None


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

    def __init__(self, text: str, tool: str | None, used: tuple[int, int]) -> None:
        self._text, self._tool = text, tool
        self._head = {"id": f"chatcmpl-{new_id()}", "created": int(clock.now()), "model": MODEL}
        self._usage = {"prompt_tokens": used[0], "completion_tokens": used[1], "total_tokens": sum(used)}
        self._finish = "tool_calls" if tool else "stop"

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
        return {"id": f"call_{new_id()}", "type": "function", "function": {"name": self._tool, "arguments": "{}"}}

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return encode_object({**self._head, "object": "chat.completion.chunk", "choices": [choice]})


class _Anthropic:
    """The answer as a message."""

    def __init__(self, text: str, tool: str | None, used: tuple[int, int]) -> None:
        self._text, self._tool = text, tool
        self._usage = {"input_tokens": used[0], "output_tokens": used[1]}
        self._head = {"id": f"msg_{new_id()}", "type": "message", "role": "assistant", "model": MODEL}
        self._finish = "tool_use" if tool else "end_turn"

    def whole(self) -> dict[str, Any]:
        content: list[dict[str, Any]] = [{"type": "text", "text": self._text}] if self._text else []
        if self._tool:
            content.append(self._use())
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
            "content_block_start", index=0, content_block=self._use() if self._tool else {"type": "text", "text": ""}
        )
        for word in _words(self._text):
            yield self._event("content_block_delta", index=0, delta={"type": "text_delta", "text": word})
        yield self._event("content_block_stop", index=0)
        stop = {"stop_reason": self._finish, "stop_sequence": None}
        yield self._event("message_delta", delta=stop, usage={"output_tokens": self._usage["output_tokens"]})
        yield self._event("message_stop")

    def _use(self) -> dict[str, Any]:
        return {"type": "tool_use", "id": f"toolu_{new_id()}", "name": self._tool, "input": {}}

    def _event(self, kind: str, **members: Any) -> bytes:
        return encode_object({"type": kind, **members}, kind)
