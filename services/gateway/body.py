"""Reading a request's body: whole, within a bound of size and time, and never decoded from an encoding."""

import asyncio
from collections.abc import Mapping

from shared.errors import BadRequest, TollwayError, TooLarge, UnsupportedEncoding
from shared.health import Receive

MAX_BODY_BYTES = 32 << 20
READ_SECONDS = 120.0


class ClientGone(Exception):
    """The client left; there is nobody to answer."""


class TooSlow(TollwayError):
    """The body did not arrive in time."""

    code = "request_timeout"
    status = 408
    log_level = "info"


async def read_body(headers: Mapping[str, str], receive: Receive) -> bytes:
    """The body; raises TooLarge without keeping more than the bound, and ClientGone when the client left meanwhile."""
    check_head(headers)
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGone
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        if len(body) > MAX_BODY_BYTES:
            raise TooLarge(_TOO_LARGE)
        return body
    try:
        async with asyncio.timeout(READ_SECONDS):
            return await _read_rest(bytearray(body), receive)
    except TimeoutError as error:
        raise TooSlow from error


def check_head(headers: Mapping[str, str]) -> None:
    """Refuse by the head what would be refused by the body."""
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", ""):
        raise UnsupportedEncoding(f"The content-encoding '{encoding[:40]}' is not supported; send the body plain.")
    length = headers.get("content-length")
    if length is not None:
        if not (length.isascii() and length.isdigit()):
            raise BadRequest("The content-length is not a number.")
        if len(length) > 12 or int(length) > MAX_BODY_BYTES:
            raise TooLarge(_TOO_LARGE)


async def _read_rest(body: bytearray, receive: Receive) -> bytes:
    while True:
        if len(body) > MAX_BODY_BYTES:
            raise TooLarge(_TOO_LARGE)
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        body += message.get("body", b"")
        if not message.get("more_body", False):
            if len(body) > MAX_BODY_BYTES:
                raise TooLarge(_TOO_LARGE)
            return bytes(body)


_TOO_LARGE = f"The request body is larger than {MAX_BODY_BYTES >> 20} MiB."
