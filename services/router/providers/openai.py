"""Providers that speak OpenAI's protocol: chat completions, embeddings, models."""

from typing import Any

import msgspec

from services.router.catalog import Listed, Target
from services.router.estimate import by_size
from services.router.exchange import Prepared
from services.router.providers.base import NotAnAnswer, Provider, StreamReader, Whole, asked, read_as, read_entries
from services.router.rewrite import rewrite
from shared.messages.gateway import Call
from shared.translate.answer import losses_of_completion, openai_answer_to_anthropic
from shared.translate.mend import mended_completion
from shared.translate.progress import Progress
from shared.translate.request import RequestOptions, anthropic_to_openai
from shared.translate.stream import OpenAIToAnthropic, OpenAIWatcher
from shared.wire.dialect import Dialect
from shared.wire.json_text import decode_object, encode
from shared.wire.usage import TokenUsage


class _Message(msgspec.Struct):
    content: Any = None
    refusal: Any = None
    reasoning_content: Any = None
    tool_calls: Any = None


class _Choice(msgspec.Struct):
    message: _Message | None = None


class _Completion(msgspec.Struct):
    choices: list[msgspec.Raw] | None = None
    data: list[msgspec.Raw] | None = None
    usage: Any = None
    error: Any = None


_decode = msgspec.json.Decoder(_Completion).decode


class OpenAIProvider(Provider):
    """OpenAI itself and everything compatible with it."""

    dialect: Dialect = "openai"

    def prepare(self, call: Call, target: Target, key: str) -> Prepared:
        """The request for a call."""
        own = {"authorization": f"Bearer {key}"} if key else {}
        if call.operation == "embeddings":
            body = rewrite(call.body, call.model, target.model, ask_usage=False).body
            return Prepared(f"{self.config.base_url}/embeddings", self._headers(own), body)
        url = f"{self.config.base_url}/chat/completions"
        if call.dialect == "anthropic":
            told = anthropic_to_openai(asked(call.body), self._options(target))
            return Prepared(url, self._headers(own), encode(told.body), told.lossy, translated=told)
        rewritten = rewrite(call.body, call.model, target.model, ask_usage=call.stream)
        return Prepared(url, self._headers(own), rewritten.body, choices=rewritten.choices)

    def reader(self, call: Call, prepared: Prepared) -> StreamReader:
        """What reads this provider's stream for the client."""
        if call.dialect == "anthropic":
            return OpenAIToAnthropic(input_estimate=by_size(call.body))
        estimate = by_size(call.body) if call.include_usage else 0
        return OpenAIWatcher(include_usage=call.include_usage, choices=prepared.choices, input_estimate=estimate)

    def whole(self, call: Call, prepared: Prepared, body: bytes) -> Whole:
        """The client's answer."""
        progress = read_completion(body, embeddings=call.operation == "embeddings")
        if call.dialect == "anthropic":
            answer = decode_object(body)
            told = openai_answer_to_anthropic(answer, input_estimate=by_size(call.body))
            return Whole(encode(told), progress, losses_of_completion(answer))
        if b'"tool_calls"' in body:
            body = mended_completion(body)
        return Whole(body, progress)

    def list_request(self, key: str) -> tuple[str, dict[str, str]]:
        """Where the models are listed."""
        return f"{self.config.base_url}/models", self._headers({"authorization": f"Bearer {key}"} if key else {})

    def read_list(self, body: bytes) -> list[Listed]:
        """The models in a list."""
        return read_entries(body)

    def _options(self, target: Target) -> RequestOptions:
        genuine = ".openai.com" in self.config.base_url
        return RequestOptions(
            model=target.model,
            max_tokens_limit=target.max_tokens,
            max_tokens_field="max_completion_tokens" if genuine else self.config.max_tokens_field,
            takes_late_system=genuine,
            takes_reasoning_content=self.config.reasoning_content,
        )


def read_completion(body: bytes, *, embeddings: bool = False) -> Progress:
    """What a whole answer says about itself; raises NotAnAnswer."""
    answer = read_as(_decode, _Completion, body)
    if answer.data is None if embeddings else not answer.choices:
        raise NotAnAnswer("the provider's answer has no choices")
    progress = Progress()
    progress.started_content = progress.finished = True
    progress.usage = TokenUsage.from_openai(answer.usage)
    if not progress.usage.is_told:
        for choice in answer.choices or ():
            _count(choice, progress)
    return progress


def _count(choice: msgspec.Raw, progress: Progress) -> None:
    try:
        message = msgspec.json.decode(choice, type=_Choice).message
    except msgspec.DecodeError:
        return
    if message is None:
        return
    for text in (message.content, message.refusal, message.reasoning_content):
        if isinstance(text, str):
            progress.count_text(text)
    if message.tool_calls:
        progress.count_text(msgspec.json.encode(message.tool_calls).decode())
