"""Tells a webhook that a report ended, signed as Standard Webhooks ask, and only to addresses that may be reached."""

import base64
import hmac
import secrets
from collections.abc import Callable, Collection, Mapping
from hashlib import sha256
from typing import Any

import msgspec

from services.reports.errors import FieldInvalid
from shared import clock
from shared.http_client import HttpClient, HttpError, Timeout
from shared.security import AddressRefused, check_url, checked_addresses

PREFIX = "whsec_"
POST_SECONDS = 15.0
REFUSED = "webhook_url: this address is not reached from here; public http and https addresses are"


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(24)).decode()


def signature(secret: str, message_id: str, stamp: int, body: bytes) -> str:
    """`v1,` and the base64 HMAC-SHA256 of `id.timestamp.body`."""
    key = _key(secret)
    signed = f"{message_id}.{stamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, sha256).digest()).decode()


def _key(secret: str) -> bytes:
    if secret.startswith(PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        except ValueError:
            return secret.encode()
    return secret.encode()


class Webhooks:
    """Posts finished jobs; `guard` says whether private addresses may be reached and which hosts always."""

    def __init__(self, http: HttpClient, guard: Callable[[], tuple[bool, Collection[str]]]) -> None:
        self._http = http
        self._guard = guard

    async def check(self, url: str) -> None:
        """Refuse an address at once that would be refused later, in the same words whatever is behind it."""
        allow_private, allow_hosts = self._guard()
        try:
            host, port = check_url(url)
            await checked_addresses(host, port, allow_private=allow_private, allow_hosts=allow_hosts)
        except AddressRefused as error:
            raise FieldInvalid(REFUSED, param="webhook_url", code="webhook_url_refused") from error

    async def post(self, url: str, secret: str, message_id: str, payload: Mapping[str, Any]) -> bool:
        """Whether the receiver took it. The id stays the same over repeats, so that they can be told apart."""
        body = msgspec.json.encode(payload)
        stamp = int(clock.now())
        headers = {
            "content-type": "application/json",
            "user-agent": "tollway-reports/0.1",
            "webhook-id": message_id,
            "webhook-timestamp": str(stamp),
            "webhook-signature": signature(secret, message_id, stamp, body),
        }
        allow_private, allow_hosts = self._guard()
        session = self._http.guarded(allow_private=allow_private, allow_hosts=allow_hosts)
        try:
            async with session.post(
                url, data=body, headers=headers, timeout=Timeout(total=POST_SECONDS), allow_redirects=False
            ) as response:
                return 200 <= response.status < 300
        except (HttpError, OSError, TimeoutError, ValueError, AddressRefused):
            return False
