"""The only home of aiohttp as a client: pooled sessions, and guarded ones that connect only to checked addresses."""

import asyncio
import socket
from collections.abc import Collection

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from shared.http_lean import LeanClients
from shared.security import AddressRefused, checked_addresses

HttpError = aiohttp.ClientError
Response = aiohttp.ClientResponse
Session = aiohttp.ClientSession
Timeout = aiohttp.ClientTimeout

NO_TIMEOUT = aiohttp.ClientTimeout(total=None)
_HEADERS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


class HttpClient:
    """Sessions by purpose, opened on first use and closed together."""

    def __init__(self) -> None:
        self._sessions: dict[object, Session] = {}
        self.lean = LeanClients()

    def session(self) -> Session:
        """The pooled session for addresses that the operator configured."""
        found = self._sessions.get("plain")
        if found is None:
            found = self._sessions["plain"] = _session(
                aiohttp.TCPConnector(limit=0, ttl_dns_cache=30, keepalive_timeout=30)
            )
        return found

    def guarded(self, *, allow_private: bool = False, allow_hosts: Collection[str] = ()) -> Session:
        """A session for URLs that others name. Pass `allow_redirects=False` and call it again for every redirect."""
        key = (allow_private, frozenset(allow_hosts))
        found = self._sessions.get(key)
        if found is None:
            resolver = GuardedResolver(allow_private=allow_private, allow_hosts=frozenset(allow_hosts))
            # No address cache: each connection is made to addresses that were checked for it.
            connector = GuardedConnector(resolver, limit=100, use_dns_cache=False, force_close=True)
            found = self._sessions[key] = _session(connector)
        return found

    async def close(self) -> None:
        """Close all connections."""
        await self.lean.close()
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()


def _session(connector: aiohttp.BaseConnector) -> Session:
    return aiohttp.ClientSession(
        connector=connector,
        timeout=NO_TIMEOUT,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=_HEADERS,
        trust_env=False,
        read_bufsize=1 << 18,
        max_line_size=1 << 16,
        max_field_size=1 << 16,
    )


class GuardedResolver(AbstractResolver):
    """Resolves a host to addresses that were checked, so that the connection goes where the check looked."""

    def __init__(self, *, allow_private: bool, allow_hosts: Collection[str]) -> None:
        self._allow_private = allow_private
        self._allow_hosts = allow_hosts

    async def check(self, host: str, port: int) -> None:
        """Raise AddressRefused unless the host may be reached."""
        await checked_addresses(host, port, allow_private=self._allow_private, allow_hosts=self._allow_hosts)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The checked addresses in aiohttp's form."""
        try:
            addresses = await checked_addresses(
                host, port, allow_private=self._allow_private, allow_hosts=self._allow_hosts
            )
        except AddressRefused as refused:
            raise OSError(None, str(refused)) from refused
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET6 if address.version == 6 else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is kept open."""


class GuardedConnector(aiohttp.TCPConnector):
    """Checks plain addresses too: aiohttp does not ask the resolver about them."""

    def __init__(self, resolver: GuardedResolver, *, limit: int, use_dns_cache: bool, force_close: bool) -> None:
        super().__init__(resolver=resolver, limit=limit, use_dns_cache=use_dns_cache, force_close=force_close)
        self._guard = resolver

    async def _resolve_host(self, host: str, port: int, traces: object = None) -> list[ResolveResult]:
        return await self._guard.resolve(host, port)


class BodyOverCap(ValueError):
    """The answer is larger than its reader takes."""


async def read_capped(response: Response, most_bytes: int, *, seconds: float = 60) -> bytes:
    """The body up to a cap; raises BodyOverCap beyond it."""
    read = bytearray()
    async with asyncio.timeout(seconds):
        async for chunk in response.content.iter_any():
            read += chunk
            if len(read) > most_bytes:
                raise BodyOverCap(f"the answer is larger than {most_bytes} bytes")
    return bytes(read)
