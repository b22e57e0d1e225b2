"""Who is asking: a bearer or an `x-api-key` becomes a caller, or the request is refused.

When both headers are sent and differ, `Authorization` decides. Without TOKEN and without keys every client surface is
open, whatever key is sent; the first key closes it for good, also when that key is revoked later. Without an admin
token the holder of TOKEN administers; without both, whoever reaches a gateway that listens on loopback does. Whoever
reaches it: any page a browser here shows could, so what a browser sends for a page from elsewhere needs a key.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from services.gateway.callers import ADMIN, OPEN, TOKEN, Caller
from services.gateway.keys import KeyRing
from shared import security
from shared.errors import Forbidden, Unauthenticated, Unavailable
from shared.settings import Settings, revealed

ELSEWHERE = "Pages of other sites cannot use a gateway that is open to this machine; set TOKEN and send it as the key."


class Doorkeeper:
    """Recognises callers; compares secrets in constant time or by their hash."""

    def __init__(self, settings: Settings, keys: KeyRing) -> None:
        self._keys = keys
        self._insecure = settings.insecure
        self._unguarded = settings.insecure or not settings.open_to_all
        self.take_up(settings)

    def take_up(self, settings: Settings) -> None:
        """Let in who shows these tokens from now on."""
        self._token, self._admin, self._ops = map(revealed, (settings.token, settings.admin_token, settings.ops_token))

    @property
    def closed(self) -> bool:
        """Whether clients need a key."""
        return self._token is not None or self._keys.any

    def identify(self, headers: Mapping[str, str]) -> Caller:
        """The caller of a client surface; raises Unauthenticated. Header names are lower case."""
        secret = shown_secret(headers)
        if secret is not None:
            if self._admin is not None and security.same(secret, self._admin):
                return ADMIN
            if self._token is not None and security.same(secret, self._token):
                return TOKEN
            key = self._keys.find(secret)
            if key is not None:
                return Caller(kind="key", key=key)
        if not self._keys.loaded.is_set() and self._token is None:
            raise Unavailable("The keys have not been read yet; try again.", code="database_unavailable")
        if not self.closed:
            if self._from_elsewhere(headers):
                raise Forbidden(ELSEWHERE, code="origin_refused")
            return OPEN
        if secret is None:
            raise Unauthenticated("No API key was sent. Send it as `Authorization: Bearer` or `x-api-key`.")
        raise Unauthenticated("Incorrect API key provided.")

    def require_admin(self, headers: Mapping[str, str]) -> None:
        """Let only those pass who may administer; raises Unauthenticated or Forbidden."""
        if not self.oversees(headers):
            self.identify(headers)
            if shown_secret(headers) is None or not self.closed:
                raise Unauthenticated("The admin token is needed here.")
            raise Forbidden("The admin token is needed here.")

    def oversees(self, headers: Mapping[str, str]) -> bool:
        """Whether a request may administer and read everybody's usage."""
        secret = shown_secret(headers)
        overseer = self._admin or self._token
        if overseer is None:
            known = secret is not None and self._keys.find(secret) is not None
            return self._unguarded and not known and not self._from_elsewhere(headers)
        return secret is not None and security.same(secret, overseer)

    def watches(self, headers: Mapping[str, str]) -> bool:
        """Whether a request shows the ops token: it reads everybody's usage, and does nothing else."""
        secret = shown_secret(headers)
        return secret is not None and self._ops is not None and security.same(secret, self._ops)

    def _from_elsewhere(self, headers: Mapping[str, str]) -> bool:
        """Whether a browser sends this for a page that is not of this machine."""
        origin, host = headers.get("origin"), headers.get("host", "")
        if self._insecure:  # reached by other names than loopback's: at least the page must be of that name
            return origin is not None and origin.partition("://")[2] != host
        if origin is None and "sec-fetch-site" not in headers:
            return False  # no browser
        # The name in `Host`, too: another site's name may be made to lead here.
        return not _is_local(host) or (origin is not None and not _is_local(origin.partition("://")[2]))


def _is_local(place: str) -> bool:
    try:
        name = urlsplit(f"//{place}").hostname or ""
    except ValueError:
        return False
    return security.is_loopback(name) or name.endswith(".localhost")


def shown_secret(headers: Mapping[str, str]) -> str | None:
    """The key a request carries."""
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and bearer.strip():
        return bearer.strip()
    return headers.get("x-api-key", "").strip() or None
