"""Keys and addresses: how a key is hashed and compared, and which addresses a foreign URL may lead to."""

import asyncio
import hashlib
import hmac
import ipaddress
import secrets
import socket
from collections.abc import Collection
from urllib.parse import urlsplit

KEY_PREFIX = "tw-"
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NOT_PUBLIC = (
    ipaddress.ip_network("100.64.0.0/10"),  # shared address space of carriers
    ipaddress.ip_network("192.0.0.0/24"),
    ipaddress.ip_network("192.88.99.0/24"),  # old 6to4 relays
    ipaddress.ip_network("198.18.0.0/15"),
    ipaddress.ip_network("64:ff9b:1::/48"),
    ipaddress.ip_network("fec0::/10"),
    ipaddress.ip_network("::/96"),  # the deprecated way of carrying IPv4
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class AddressRefused(Exception):
    """This address may not be reached from here."""


def new_key() -> str:
    """A fresh client key: 256 random bits, readable prefix."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def hash_key(key: str) -> str:
    """What is stored of a key. Keys are random, so a plain strong hash is enough."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def same(left: str, right: str) -> bool:
    """Compare secrets in constant time."""
    return hmac.compare_digest(left.encode("utf-8", "surrogatepass"), right.encode("utf-8", "surrogatepass"))


def is_loopback(host: str) -> bool:
    """Whether listening on this host is reachable from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet, also behind IPv6's ways of carrying IPv4."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(inner)
    if any(address in network for network in _NOT_PUBLIC if network.version == address.version):
        return False
    return address.is_global and not address.is_multicast


async def resolve(host: str, port: int) -> list[Address]:
    """The addresses of a host; an address in brackets or plain is itself."""
    try:
        return [ipaddress.ip_address(host.strip("[]"))]
    except ValueError:
        pass
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise AddressRefused(f"{host} cannot be resolved") from error
    return [ipaddress.ip_address(str(entry[4][0]).split("%")[0]) for entry in found]


async def checked_addresses(
    host: str, port: int, *, allow_private: bool = False, allow_hosts: Collection[str] = ()
) -> list[Address]:
    """The addresses of a host that may be connected to; raises AddressRefused unless every one of them may be."""
    addresses = await resolve(host, port)
    if not addresses:
        raise AddressRefused(f"{host} has no address")
    free = allow_private or host in allow_hosts or f"{host}:{port}" in allow_hosts
    if not free and not all(is_public(address) for address in addresses):
        raise AddressRefused(f"{host} is not a public address")
    return addresses


def check_url(url: str) -> tuple[str, int]:
    """Host and port of an http(s) URL without credentials; raises AddressRefused."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise AddressRefused("not a URL") from error
    if parts.scheme not in ("http", "https") or not host:
        raise AddressRefused("only http and https URLs are reached")
    if parts.username is not None or parts.password is not None:
        raise AddressRefused("credentials in a URL are refused")
    return host, port or (443 if parts.scheme == "https" else 80)
