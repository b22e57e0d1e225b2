"""How the loop's answer is told in one piece: the last turn's body, with everything that was said before it."""

from collections.abc import Collection, Sequence
from typing import Any

from services.gateway.answers import whole_body
from services.gateway.tool_loop.dialect import DIALECTS, Turn, summed
from shared.messages.gateway import Answer, Dialect
from shared.wire.json_text import NotJsonError, decode_object, encode
from shared.wire.tool_call import arguments_text


class WholeVoice:
    """Collects the turns of an answer that is not streamed."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = DIALECTS[dialect]
        self._turns: list[dict[str, Any]] = []
        self._usage: dict[str, Any] = {}
        self._answer: dict[str, Any] = {}
        self._finish: str | None = None
        self._body = b""

    async def take(self, answer: Answer) -> Turn:
        """Read one turn."""
        self._body = await whole_body(answer)
        try:
            self._answer = decode_object(self._body)
        except NotJsonError:
            return Turn({}, [], None, failed=True)
        message, finish = self._read()
        self._finish = finish
        usage = self._answer.get("usage")
        self._usage = summed(self._usage, usage if isinstance(usage, dict) else {})
        self._turns.append(message)
        return Turn(message, self._dialect.calls_of(message), finish, usage if isinstance(usage, dict) else {})

    def untouched(self) -> bytes:
        """The last body as it came."""
        return self._body

    def body(self, finish: str | None, kept: Collection[str], limit: str | None, beside: dict[str, Any]) -> bytes:
        """The whole answer: one message, one reason for the end, usage of all turns."""
        all_kept = len(kept) == len(self._dialect.calls_of(self._turns[-1]))
        if len(self._turns) == 1 and all_kept and limit is None and not beside and finish == self._finish:
            return self._body
        answer = dict(self._answer)
        seen = self._dialect.seen_by_client(self._turns, kept)
        if self._dialect.name == "openai":
            answer["choices"] = [_choice(answer, seen, finish)]
        else:
            answer |= {"content": seen["content"], "stop_reason": finish}
        if self._usage:
            answer["usage"] = summed(self._usage, beside)
        if limit is not None:
            answer["tollway"] = {"limit_reached": limit}
        return encode(answer)

    def _read(self) -> tuple[dict[str, Any], str | None]:
        if self._dialect.name == "anthropic":
            return {"role": "assistant", "content": self._answer.get("content") or []}, self._answer.get("stop_reason")
        choice = _first(self._answer.get("choices"))
        message = choice.get("message")
        finish = choice.get("finish_reason")
        if not isinstance(message, dict):
            return {"role": "assistant", "content": ""}, finish
        for call in message.get("tool_calls") or ():
            function = call.get("function")
            if isinstance(function, dict):
                function["arguments"] = arguments_text(function.get("arguments"))
        return message, "tool_calls" if finish == "stop" and message.get("tool_calls") else finish


def _first(choices: Any) -> dict[str, Any]:
    if isinstance(choices, Sequence) and choices and isinstance(choices[0], dict):
        found: dict[str, Any] = choices[0]
        return found
    return {}


def _choice(answer: dict[str, Any], message: dict[str, Any], finish: str | None) -> dict[str, Any]:
    return {**_first(answer.get("choices")), "message": message, "finish_reason": finish}
