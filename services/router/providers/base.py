"""The seam of all providers: prepare a request, read a stream, read a whole answer, list the models."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from services.router.catalog import Listed, Target
from services.router.exchange import Exchange, Prepared, post, post_lean
from services.router.keys import KeyRing
from shared.config.providers import Provider as ProviderConfig
from shared.config.providers import Timeouts
from shared.http_client import Session, Timeout
from shared.http_lean import LeanClients
from shared.messages.gateway import Call
from shared.translate.progress import Progress
from shared.translate.stream import AnthropicToOpenAI, AnthropicWatcher, OpenAIToAnthropic, OpenAIWatcher
from shared.translate.terms import CannotTranslate
from shared.wire.dialect import Dialect
from shared.wire.json_text import NotJsonError, decode_object

S = TypeVar("S", bound=msgspec.Struct)
USER_AGENT = "tollway/0.1"
StreamReader = OpenAIWatcher | AnthropicWatcher | OpenAIToAnthropic | AnthropicToOpenAI


class Whole(msgspec.Struct):
    """An answer that came in one piece, in the client's dialect, and what is known of it."""

    body: bytes
    progress: Progress
    lossy: tuple[str, ...] = ()


class Provider(ABC):
    """A configured endpoint with its credentials. One object lives as long as its configuration does not change."""

    dialect: Dialect

    def __init__(self, name: str, config: ProviderConfig, timeouts: Timeouts, session: Session) -> None:
        self.name = name
        self.config = config
        self.timeouts = timeouts
        self.session = session
        self.connect_timeout = Timeout(total=None, connect=timeouts.connect)
        self.lean: LeanClients | None = None  # where the provider is one of the operator's
        self.proxy = config.proxy
        self.keys = KeyRing(config.keys)
        self.is_byo = False

    @abstractmethod
    def prepare(self, call: Call, target: Target, key: str) -> Prepared:
        """The request for a call; raises CannotTranslate when this protocol has no way to say it."""

    @abstractmethod
    def reader(self, call: Call, prepared: Prepared) -> StreamReader:
        """What turns this provider's stream into the client's."""

    @abstractmethod
    def whole(self, call: Call, prepared: Prepared, body: bytes) -> Whole:
        """The client's answer from this provider's; raises NotAnAnswer."""

    async def ask(self, call: Call, prepared: Prepared) -> Exchange:
        """Send the request and wait for the head of the answer; raises Broken."""
        del call
        if self.lean is not None and self.proxy is None:
            return await post_lean(self.lean, prepared, self.timeouts.connect)
        return await post(self.session, prepared, self.connect_timeout, self.proxy)

    @abstractmethod
    def list_request(self, key: str) -> tuple[str, dict[str, str]]:
        """URL and headers of the request for the models' list."""

    @abstractmethod
    def read_list(self, body: bytes) -> list[Listed]:
        """The models in a list; raises msgspec.MsgspecError."""

    def _headers(self, own: Mapping[str, str]) -> dict[str, str]:
        """The request's headers: nothing of the client's unless put here on purpose."""
        headers = {
            "content-type": "application/json",
            "accept": "application/json",
            "accept-encoding": "identity",
            "user-agent": USER_AGENT,
        }
        headers.update(own)
        for name, value in self.config.headers.items():
            if value:
                headers[name.lower()] = value
        return headers


class NotAnAnswer(ValueError):
    """The provider's body is no answer."""


def read_as(strictly: Callable[[bytes], S], kind: type[S], body: bytes) -> S:
    """The body as this kind of struct, forgiving what has one meaning all the same; raises NotAnAnswer."""
    try:
        return strictly(body)
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        return msgspec.convert(decode_object(body), kind)
    except (NotJsonError, msgspec.ValidationError) as error:
        raise NotAnAnswer("the provider's answer is not the JSON it should be") from error


def asked(body: bytes) -> dict[str, Any]:
    """A client's request, to be translated; raises CannotTranslate for a number beyond every range."""
    try:
        return decode_object(body)
    except NotJsonError as error:
        raise CannotTranslate("body", "it holds a number that is out of range") from error


class Entry(msgspec.Struct):
    """A row of a list of models, in either dialect."""

    id: str
    created: Any = 0
    created_at: Any = None
    owned_by: Any = ""
    display_name: Any = None


class _List(msgspec.Struct):
    data: list[Entry]


_decode_list = msgspec.json.Decoder(_List).decode


def read_entries(body: bytes) -> list[Listed]:
    """The rows of a list of models."""
    return [
        Listed(
            entry.id,
            entry.created if isinstance(entry.created, int) else 0,
            entry.owned_by if isinstance(entry.owned_by, str) else "",
            entry.display_name if isinstance(entry.display_name, str) else None,
        )
        for entry in _decode_list(body).data
    ]
