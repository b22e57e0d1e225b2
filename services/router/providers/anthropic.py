"""Providers that speak Anthropic's protocol: messages, token counts, models."""

import re
from typing import Any

import msgspec

from services.router.catalog import Listed, Target
from services.router.estimate import by_size
from services.router.exchange import Prepared
from services.router.providers.base import NotAnAnswer, Provider, StreamReader, Whole, asked, read_as, read_entries
from services.router.rewrite import rewrite
from shared.messages.gateway import Call
from shared.translate.answer import anthropic_answer_to_openai, losses_of_message
from shared.translate.progress import Progress
from shared.translate.request import RequestOptions, openai_to_anthropic
from shared.translate.stream import AnthropicToOpenAI, AnthropicWatcher
from shared.translate.thoughts import without_unsigned_thoughts
from shared.wire.dialect import Dialect
from shared.wire.json_text import decode_object, encode, encode_text
from shared.wire.usage import TokenUsage

_CLIENT_HEADERS = "anthropic-"
# Models before 4.6 are told how much to think in tokens, later ones how hard.
_THINKS_BY_BUDGET = re.compile(r"claude-3|claude-(opus|sonnet|haiku)-4(-[0-5])?(-\d{8}|-latest|@|$)")


class _Block(msgspec.Struct):
    type: Any = None
    text: Any = None
    thinking: Any = None
    input: Any = None


class _Message(msgspec.Struct):
    type: Any = None
    content: list[_Block] | None = None
    usage: Any = None
    input_tokens: Any = None


_decode = msgspec.json.Decoder(_Message).decode


class AnthropicProvider(Provider):
    """Anthropic itself and everything compatible with it."""

    dialect: Dialect = "anthropic"

    def prepare(self, call: Call, target: Target, key: str) -> Prepared:
        """The request for a call."""
        headers = self._request_headers(call, key)
        if call.dialect == "openai":
            told = openai_to_anthropic(asked(call.body), self._options(target))
            return Prepared(f"{self._root}/messages", headers, encode(told.body), told.lossy, translated=told)
        cleaned = without_unsigned_thoughts(call.body)
        lossy = () if cleaned is call.body else ("thinking",)
        body = rewrite(cleaned, call.model, target.model, ask_usage=False).body
        path = "messages/count_tokens" if call.operation == "count_tokens" else "messages"
        query = f"?{call.query}" if call.query else ""
        return Prepared(f"{self._root}/{path}{query}", headers, body, lossy)

    def reader(self, call: Call, prepared: Prepared) -> StreamReader:
        """What reads this provider's stream for the client."""
        told = prepared.translated
        if told is None:
            return AnthropicWatcher()
        return AnthropicToOpenAI(
            include_usage=call.include_usage,
            input_estimate=by_size(call.body) if call.include_usage else 0,
            legacy_functions=told.legacy_functions,
            custom_tools=told.custom_tools,
        )

    def whole(self, call: Call, prepared: Prepared, body: bytes) -> Whole:
        """The client's answer."""
        progress = read_message(body, count_only=call.operation == "count_tokens")
        told = prepared.translated
        if told is None:
            return Whole(body, progress)
        message, legacy = decode_object(body), told.legacy_functions
        answer = anthropic_answer_to_openai(message, legacy_functions=legacy, custom_tools=told.custom_tools)
        return Whole(encode(answer), progress, losses_of_message(message, legacy_functions=legacy))

    def list_request(self, key: str) -> tuple[str, dict[str, str]]:
        """Where the models are listed."""
        own = {"anthropic-version": self.config.anthropic_version, **({"x-api-key": key} if key else {})}
        return f"{self._root}/models?limit=1000", self._headers(own)

    def read_list(self, body: bytes) -> list[Listed]:
        """The models in a list."""
        return read_entries(body)

    @property
    def _root(self) -> str:
        url = self.config.base_url
        return url if url.endswith("/v1") else f"{url}/v1"

    def _options(self, target: Target) -> RequestOptions:
        return RequestOptions(
            model=target.model,
            max_tokens_limit=target.max_tokens,
            max_tokens_default=target.max_tokens or self.config.max_tokens,
            anthropic_version=self.config.anthropic_version,
            thinking="budget" if _THINKS_BY_BUDGET.search(target.model) else "adaptive",
        )

    def _request_headers(self, call: Call, key: str) -> dict[str, str]:
        """Ours, and a client's own `anthropic-*` headers unchanged: their list is open."""
        own = {"anthropic-version": self.config.anthropic_version}
        if call.dialect == "anthropic":
            own |= {name: value for name, value in call.headers.items() if name.startswith(_CLIENT_HEADERS)}
        if beta := _merged(own.get("anthropic-beta"), self.config.beta):
            own["anthropic-beta"] = beta
        if key:
            own["x-api-key"] = key
        return self._headers(own)


def _merged(client: str | None, configured: tuple[str, ...]) -> str | None:
    """The client's flags as it wrote them, and behind them the configured ones it did not name."""
    if not client:
        return ",".join(configured) or None
    given = {flag.strip() for flag in client.split(",")}
    return ",".join([client, *(flag for flag in configured if flag not in given)])


def read_message(body: bytes, *, count_only: bool = False) -> Progress:
    """What a whole answer says about itself; raises NotAnAnswer."""
    answer = read_as(_decode, _Message, body)
    if count_only:
        if not isinstance(answer.input_tokens, int):
            raise NotAnAnswer("the provider's answer has no count of tokens")
    elif answer.type == "error" or answer.content is None:
        raise NotAnAnswer("the provider's answer has no content")
    progress = Progress()
    progress.started_content = progress.finished = True
    progress.usage = TokenUsage.from_anthropic(answer.usage)
    if not progress.usage.is_told:
        for block in answer.content or ():
            _count(block, progress)
    return progress


def _count(block: _Block, progress: Progress) -> None:
    for text in (block.text, block.thinking):
        if isinstance(text, str):
            progress.count_text(text)
    if block.input is not None:
        progress.count_text(encode_text(block.input))
