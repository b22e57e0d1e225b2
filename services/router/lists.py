"""Reading the list of models of a provider, kept for a while where all replicas see it."""

import asyncio
import contextlib
import hashlib

import msgspec

from services.router.catalog import Listed
from services.router.providers.base import Provider
from shared import clock
from shared.cache import Cache
from shared.errors import CacheUnavailable
from shared.http_client import HttpError, Session, read_capped

_MOST_BYTES = 8 << 20
_SECONDS = 10.0
_decode = msgspec.json.Decoder(list[Listed]).decode


class ListUnavailable(Exception):
    """The list could not be read. `status` is the provider's answer, None when there was none."""

    def __init__(self, message: str, status: int | None = None) -> None:
        self.status = status
        super().__init__(message)

    @property
    def is_outage(self) -> bool:
        """Whether it means that the provider is down, rather than that it has no such list."""
        return self.status is None or self.status >= 500


class Lister:
    """Reads lists through the shared cache; without a cache it asks the provider."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    async def models(self, provider: Provider, keep_seconds: float, *, fresh: bool = False) -> list[Listed]:
        """The models a provider lists; raises ListUnavailable."""
        key = _cache_key(provider)
        if not fresh and (found := await self._cached(key)) is not None:
            return found
        listed = await fetch(provider)
        with contextlib.suppress(CacheUnavailable):  # the list is kept in this process all the same
            await self._cache.set(key, msgspec.json.encode(listed), ttl_seconds=keep_seconds)
        return listed

    async def _cached(self, key: str) -> list[Listed] | None:
        try:
            found = await self._cache.get(key)
            return None if found is None else _decode(found)
        except (CacheUnavailable, msgspec.MsgspecError):
            return None


async def fetch(provider: Provider) -> list[Listed]:
    """Ask the provider for its list; raises ListUnavailable."""
    url, headers = provider.list_request(provider.keys.pick(clock.monotonic()))
    session: Session = provider.session
    try:
        async with asyncio.timeout(_SECONDS):
            response = await session.get(
                url, headers=headers, allow_redirects=False, proxy=provider.proxy, timeout=provider.connect_timeout
            )
            try:
                body = await read_capped(response, _MOST_BYTES, seconds=_SECONDS)
            finally:
                response.close()
    except TimeoutError as error:
        raise ListUnavailable("no answer in time") from error
    except (HttpError, OSError, ValueError) as error:
        raise ListUnavailable(f"cannot be reached ({type(error).__name__})") from error
    if response.status != 200:
        raise ListUnavailable(f"answered {response.status}", response.status)
    try:
        return provider.read_list(body)
    except msgspec.MsgspecError as error:
        raise ListUnavailable("answered something that is no list of models", response.status) from error


def _cache_key(provider: Provider) -> str:
    """By endpoint and credentials: what one key may see is not what another may see."""
    parts = [provider.config.base_url, *provider.keys.keys]
    return f"router:models:{provider.name}:{hashlib.sha256(' '.join(parts).encode()).hexdigest()[:16]}"
