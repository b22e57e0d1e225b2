"""How this service reaches others over HTTP: data providers, our own gateway, the usage service, webhooks."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from struct import Struct
from typing import Any, Protocol
from urllib.parse import urlencode

import msgspec
from yarl import URL

from services.reports.errors import UsageUnavailableError
from services.reports.identity import Badge
from services.reports.insight.write import ModelError, Reply
from services.reports.sources.base import Answer, Fetched, SourceError
from shared.cache import Cache
from shared.errors import CacheUnavailable
from shared.health import App
from shared.http_client import BodyOverCap, HttpClient, HttpError, Session, Timeout, read_capped
from shared.peers import called

MODEL_SECONDS = 120.0
USAGE_SECONDS = 60.0
USAGE = "/api/ai_usage/"
ANSWER_BYTES = 4 << 20
EXPORT_BYTES = 256 << 20
AGENT = "tollway-reports/0.1"
# Before a body stands when it was fetched; other bytes than those an older version kept under "reports:body:".
PREFIX = "reports:fetched:"
STAMP = Struct(">d")
DRAWER, DRAWER_SECONDS = "reports:insight:", 86_400


class DataTransport:
    """GETs for the data providers; every way to fail is one short reason."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http

    async def get(self, url: str, *, headers: Mapping[str, str], timeout_seconds: float, max_bytes: int) -> Answer:
        timeout = Timeout(total=timeout_seconds, sock_connect=min(5.0, timeout_seconds))
        sent = {"accept": "application/json", "user-agent": AGENT, **headers}
        try:
            async with self._http.session().get(
                URL(url, encoded=True), headers=sent, timeout=timeout, allow_redirects=False
            ) as response:
                body = await read_capped(response, max_bytes, seconds=timeout_seconds)
                lowered = {name.lower(): value for name, value in response.headers.items()}
                return Answer(response.status, lowered, body)
        except TimeoutError as error:
            raise SourceError("timeout") from error
        except BodyOverCap as error:
            raise SourceError("too_large") from error
        except (HttpError, OSError, ValueError) as error:
            # A ValueError: an address or a header that cannot be sent, as it was configured.
            raise SourceError("unreachable") from error


class _Spare:
    """Bytes in the shared cache that can be done without: while it is away, nothing is there."""

    def __init__(self, cache: Cache, prefix: str) -> None:
        self._cache = cache
        self._prefix = prefix

    async def get(self, key: str) -> bytes | None:
        try:
            return await self._cache.get(self._prefix + key)
        except CacheUnavailable:
            return None

    async def put(self, key: str, value: bytes, ttl_seconds: int) -> None:
        with suppress(CacheUnavailable):
            await self._cache.set(self._prefix + key, value, ttl_seconds=ttl_seconds)


class BodyCache:
    """Providers' bodies in the shared cache; a cache that is away only costs the repeat."""

    def __init__(self, cache: Cache) -> None:
        self._spare = _Spare(cache, PREFIX)

    async def get(self, key: str) -> Fetched | None:
        kept = await self._spare.get(key)
        return Fetched(kept[STAMP.size :], *STAMP.unpack_from(kept)) if kept else None

    async def put(self, key: str, fetched: Fetched, ttl_seconds: int) -> None:
        await self._spare.put(key, STAMP.pack(fetched.at) + fetched.body, ttl_seconds)


class InsightDrawer:
    """Texts of models in the shared cache, for as long as somebody may ask for the same report again."""

    def __init__(self, cache: Cache) -> None:
        self._spare = _Spare(cache, DRAWER)

    async def get(self, key: str) -> bytes | None:
        return await self._spare.get(key)

    async def put(self, key: str, value: bytes) -> None:
        await self._spare.put(key, value, DRAWER_SECONDS)


class HttpCaller(Protocol):
    """One request to another part of Tollway: status and body; raises OSError or TimeoutError."""

    async def __call__(
        self, method: str, path: str, *, headers: Mapping[str, str], body: bytes = b"", seconds: float = 30
    ) -> tuple[int, bytes]: ...


class RemoteCaller:
    """Over a socket."""

    def __init__(self, session: Callable[[], Session], base_url: str) -> None:
        self._session = session
        self._base = base_url.rstrip("/")

    async def __call__(
        self, method: str, path: str, *, headers: Mapping[str, str], body: bytes = b"", seconds: float = 30
    ) -> tuple[int, bytes]:
        timeout = Timeout(total=seconds, sock_connect=5)
        try:
            async with self._session().request(
                method,
                URL(self._base + path, encoded=True),
                headers=dict(headers),
                data=body or None,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                return response.status, await read_capped(response, EXPORT_BYTES, seconds=seconds)
        except (HttpError, ValueError) as error:
            raise OSError(str(error)) from error


class LocalCaller:
    """In the same process: calls the ASGI app as a server would."""

    def __init__(self, app: Callable[[], App | None]) -> None:
        self._app = app

    async def __call__(
        self, method: str, path: str, *, headers: Mapping[str, str], body: bytes = b"", seconds: float = 30
    ) -> tuple[int, bytes]:
        app = self._app()
        if app is None:
            raise OSError("not composed in this process")
        sent = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        async with asyncio.timeout(seconds):
            return await called(app, method, path, sent, body)


class GatewayModel:
    """A chat completion through our own gateway, booked as usage function `report_insight`."""

    def __init__(self, call: HttpCaller, badge: Badge) -> None:
        self._call = call
        self._badge = badge

    async def complete(self, model: str, messages: list[dict[str, str]]) -> Reply:
        headers = {"content-type": "application/json", "x-tollway-function": "report_insight"}
        if self._badge.token:
            headers["authorization"] = f"Bearer {self._badge.token}"
        request = {"model": model, "messages": messages, "max_tokens": 1500, "temperature": 0.2}
        try:
            status, body = await self._call(
                "POST",
                "/v1/chat/completions",
                headers=headers,
                body=msgspec.json.encode(request),
                seconds=MODEL_SECONDS,
            )
        except (OSError, TimeoutError) as error:
            raise ModelError("the gateway did not answer") from error
        if status != 200:
            raise ModelError(f"the gateway answered {status} for model {model}")
        return _reply(body, model)


def _reply(body: bytes, model: str) -> Reply:
    try:
        answer = msgspec.json.decode(body)
        text = answer["choices"][0]["message"]["content"]
    except (msgspec.DecodeError, LookupError, TypeError) as error:
        raise ModelError("the gateway's answer could not be read") from error
    if not isinstance(text, str) or not text.strip():
        raise ModelError("the model said nothing")
    usage = answer.get("usage")
    named = answer.get("model")
    counted = {
        name: usage[name]
        for name in ("prompt_tokens", "completion_tokens", "total_tokens")
        if isinstance(usage, dict) and isinstance(usage.get(name), int)
    }
    return Reply(text, named if isinstance(named, str) else model, counted)


class UsageClient(Protocol):
    """The ledger's export over a period; `key_id` restricts it to one key. Raises UsageUnavailableError."""

    async def export(self, period: Mapping[str, Any], form: str, key_id: str | None) -> bytes: ...


class HttpUsageClient:
    """`/api/ai_usage/…` with the headers services vouch for."""

    def __init__(self, call: HttpCaller, badge: Badge, internal_token: str | None) -> None:
        self._call = call
        self._badge = badge
        self._internal = internal_token

    async def export(self, period: Mapping[str, Any], form: str, key_id: str | None) -> bytes:
        query = urlencode({**period, "format": form})
        made = await self._ask("POST", f"{USAGE}export_report?{query}", key_id)
        try:
            link = msgspec.json.decode(made, type=dict[str, Any])["download_url"]
        except (msgspec.DecodeError, LookupError) as error:
            raise UsageUnavailableError("the usage service's answer could not be read") from error
        if not isinstance(link, str) or not link.startswith(USAGE):
            raise UsageUnavailableError("the usage service's answer leads elsewhere")
        return await self._ask("GET", link, key_id)

    async def _ask(self, method: str, path: str, key_id: str | None) -> bytes:
        headers: dict[str, str] = {"x-tollway-internal": self._internal} if self._internal else {}
        if key_id is not None:
            headers["x-tollway-key-id"] = key_id
        else:
            headers["x-tollway-admin"] = "1"
            if self._badge.token:
                headers["authorization"] = f"Bearer {self._badge.token}"
        try:
            status, body = await self._call(method, path, headers=headers, seconds=USAGE_SECONDS)
        except (OSError, TimeoutError) as error:
            raise UsageUnavailableError from error
        if status != 200:
            raise UsageUnavailableError(f"the usage service answered {status}")
        return body
