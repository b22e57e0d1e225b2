"""The two shapes an answer can have on the wire: the seed's, with typed contents, and OpenAI's own."""

import abc
import json
import re
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape, quoteattr

TEXT_TYPES = ("text", "code")
# what XML 1.0 cannot hold, not even escaped; terminal colours in a piece of code are enough
NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Content:
    """Something the agent said."""

    content_type: str
    content: str


@dataclass(frozen=True, slots=True)
class End:
    """The end of an answer; with an error it is no good end."""

    reason: str
    error: str | None = None


class Shape(abc.ABC):
    """Writes one answer; its id and time stay the same from the first frame to the last."""

    id_prefix = "cmpl-"

    def __init__(self, model_name: str) -> None:
        self.model_name = model_name
        self.id = f"{self.id_prefix}{uuid.uuid4().hex}"
        self.created = int(time.time())

    @abc.abstractmethod
    def content(self, said: Content) -> bytes:
        """The frames of one piece of content."""

    @abc.abstractmethod
    def end(self, end: End) -> bytes:
        """The last frames."""

    @abc.abstractmethod
    def whole(self, said: Iterable[Content], end: End) -> tuple[int, dict[str, Any]]:
        """The status and body of an answer that is not streamed."""

    def _frame(self, choices: list[dict[str, Any]], **more: Any) -> bytes:
        chunk = {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model_name,
            "choices": choices,
            **more,
        }
        return sse(chunk)

    def _body(self, choice: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model_name,
            "choices": [choice],
            **more,
        }


class SeedShape(Shape):
    """`content_type` beside every content, `delta` also in whole answers, no [DONE]."""

    def content(self, said: Content) -> bytes:
        return self._frame([_seed_choice(said.content, said.content_type, None)])

    def end(self, end: End) -> bytes:
        if end.error is not None:
            return self._frame([_seed_choice("", "error", "error")], error=_error(end.error))
        return self._frame([_seed_choice("", "stop", end.reason)])

    def whole(self, said: Iterable[Content], end: End) -> tuple[int, dict[str, Any]]:
        if end.error is not None:
            return 500, {"error": _error(end.error)}
        by_type: dict[str, list[str]] = {}
        for each in said:
            by_type.setdefault(each.content_type, []).append(each.content)
        xml = "".join(_xml(kind, "".join(parts)) for kind, parts in by_type.items())
        choice = _seed_choice(xml, "mixed-xml", end.reason)
        # not in the seed: where OpenAI's clients look for the text
        choice["message"] = {"role": "assistant", "content": "".join(by_type.get("text", []))}
        return 200, self._body(choice)


@dataclass
class _Said:
    text: list[str] = field(default_factory=list)
    thinking: list[str] = field(default_factory=list)
    other: list[dict[str, str]] = field(default_factory=list)


class StrictShape(Shape):
    """OpenAI's chunks and completions; thinking is `reasoning_content`, what OpenAI has no word for is in `tollway`."""

    id_prefix = "chatcmpl-"

    def __init__(self, model_name: str) -> None:
        super().__init__(model_name)
        self._opened = False

    def content(self, said: Content) -> bytes:
        opening = b"" if self._opened else self._frame([_chunk_choice({"role": "assistant", "content": ""})])
        self._opened = True
        if said.content_type in TEXT_TYPES:
            return opening + self._frame([_chunk_choice({"content": said.content})])
        if said.content_type == "thinking":
            return opening + self._frame([_chunk_choice({"reasoning_content": said.content})])
        return opening + self._frame([_chunk_choice({})], tollway=_typed(said))

    def end(self, end: End) -> bytes:
        failure = _failure(end)
        if failure is not None:
            return sse({"error": failure})
        return self._frame([_chunk_choice({}, end.reason)]) + b"data: [DONE]\n\n"

    def whole(self, said: Iterable[Content], end: End) -> tuple[int, dict[str, Any]]:
        failure = _failure(end)
        if failure is not None:
            return (504 if end.reason == "timeout" else 500), {"error": failure}
        parts = _Said()
        for each in said:
            if each.content_type in TEXT_TYPES:
                parts.text.append(each.content)
            elif each.content_type == "thinking":
                parts.thinking.append(each.content)
            else:
                parts.other.append(_typed(each))
        message: dict[str, Any] = {"role": "assistant", "content": "".join(parts.text), "refusal": None}
        if parts.thinking:
            message["reasoning_content"] = "".join(parts.thinking)
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": end.reason}
        return 200, self._body(choice, **({"tollway": {"contents": parts.other}} if parts.other else {}))


def sse(data: dict[str, Any]) -> bytes:
    """One server-sent event."""
    return b"data: " + encode(data) + b"\n\n"


def encode(data: dict[str, Any]) -> bytes:
    """JSON as it goes over the wire; half a character (a lone surrogate) becomes `?`."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _xml(kind: str, content: str) -> str:
    # a bare carriage return would be read back as a line feed
    kind, content = (NOT_XML.sub("\ufffd", text) for text in (kind, content))
    return f"<content type={quoteattr(kind)}>{escape(content, {chr(13): '&#13;'})}</content>"


def _seed_choice(content: str, content_type: str, reason: str | None) -> dict[str, Any]:
    return {"index": 0, "delta": {"content": content, "content_type": content_type}, "finish_reason": reason}


def _chunk_choice(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}


def _typed(said: Content) -> dict[str, str]:
    return {"content_type": said.content_type, "content": said.content}


def _failure(end: End) -> dict[str, Any] | None:
    if end.error is not None:
        return _error(end.error)
    if end.reason == "timeout":
        return _error("the agent took too long", "timeout")
    return None


def _error(message: str, code: str = "agent_error") -> dict[str, Any]:
    return {"message": message, "type": "server_error", "param": None, "code": code}
