"""What makes two requests the same question, in whichever dialect they are asked. Pure.

As in the seed the last messages decide. A question is told as the model's provider will be asked, so that clients of
both dialects share its answer; what that provider cannot be told is covered as well.
"""

from typing import Any

from shared.messages.gateway import Dialect
from shared.translate.request import CannotTranslate, Translated, anthropic_to_openai, openai_to_anthropic
from shared.wire.json_text import decode_exactly, decode_object

Json = dict[str, Any]

# What a request says about how, not what: it does not change the answer.
_NOT_COVERED = ("stream", "stream_options", "metadata", "user", "prompt_cache_key", "safety_identifier")
_SYSTEM = ("system", "developer")


def question(raw: bytes, dialect: Dialect, native: Dialect, last_messages: int) -> Json | None:
    """The question in the provider's own dialect; None for what has no one answer or cannot be asked at all."""
    body = decode_exactly(raw) if dialect == native else decode_object(raw)
    if not isinstance(body.get("messages"), list) or body.get("n") not in (None, 1):
        return None
    asked = {**body, "messages": _deciding(body["messages"], last_messages)}
    if dialect != native:
        try:
            told = openai_to_anthropic(asked) if native == "anthropic" else anthropic_to_openai(asked)
        except CannotTranslate:
            return None
        asked = {**told.body, "lost": _lost(body, told)}
    return _plain(asked)


def _deciding(messages: list[Json], last_messages: int) -> list[Json]:
    """The last messages, and every instruction before them."""
    earlier, last = messages[:-last_messages], messages[-last_messages:]
    return [*(message for message in earlier if message.get("role") in _SYSTEM), *last]


def _lost(body: Json, told: Translated) -> Json | None:
    return {name: body[name] for name in told.lossy if name in body and name not in _NOT_COVERED} or None


def _plain(asked: Json) -> Json:
    """The same question however it is spelled: texts as blocks, nothing that is null, one name for one bound."""
    plain = {name: value for name, value in asked.items() if value is not None and name not in _NOT_COVERED}
    plain["messages"] = [{**message, "content": _blocks(message.get("content"))} for message in plain["messages"]]
    if "system" in plain:
        plain["system"] = _blocks(plain["system"])
    if "max_completion_tokens" in plain:
        plain["max_tokens"] = plain.pop("max_completion_tokens")
    return plain


def _blocks(content: Any) -> Any:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content
