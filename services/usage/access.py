"""Who reads the ledger: an admin, ops with a read-only token, or a key that sees its own usage. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from shared import security
from shared.errors import Forbidden, Unauthenticated
from shared.security import is_loopback
from shared.settings import Settings, revealed

Role = Literal["admin", "ops", "key", "open"]


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody who was let in."""

    role: Role
    key_id: str | None = None

    @property
    def scope(self) -> str:
        """The rollups this reader sees: a key's own, or everybody's."""
        return self.key_id or ""

    @property
    def sees_all(self) -> bool:
        """Whether the whole ledger is open to this reader."""
        return self.role != "key"

    def require_all(self) -> None:
        """Only for those who see everything; raises Forbidden."""
        if not self.sees_all:
            raise Forbidden("A key sees its own usage only; this needs the admin or ops token.")

    def require_admin(self) -> None:
        """Only for those who may change things; raises Forbidden."""
        if self.role not in ("admin", "open"):
            raise Forbidden("The admin token is needed here.")


class Access:
    """Recognises readers by their headers; secrets are compared in constant time."""

    def __init__(self, settings: Settings) -> None:
        self._internal = revealed(settings.internal_token)
        self.take_up(settings)

    def take_up(self, settings: Settings) -> None:
        """Let in who shows these tokens from now on."""
        self._admin = revealed(settings.admin_token or settings.token)
        self._ops = revealed(settings.ops_token)

    def identify(self, headers: Mapping[str, str], client: str | None = None) -> Reader:
        """The reader; raises Unauthenticated. The gateway's word counts with the internal token, when there is one."""
        if self.is_internal(headers, client):
            if key_id := headers.get("x-tollway-key-id"):
                return Reader("key", key_id)
            if headers.get("x-tollway-admin") == "1":
                return Reader("admin")
            if headers.get("x-tollway-ops") == "1":
                return Reader("ops")
        secret = _secret(headers)
        if secret is not None and self._admin is not None and security.same(secret, self._admin):
            return Reader("admin")
        if secret is not None and self._ops is not None and security.same(secret, self._ops):
            return Reader("ops")
        if self._admin is None:
            return Reader("open")
        if secret is None:
            raise Unauthenticated("Send the admin or ops token as `Authorization: Bearer` or `x-api-key`.")
        raise Unauthenticated("Incorrect token provided.")

    def is_internal(self, headers: Mapping[str, str], client: str | None = None) -> bool:
        """Whether a request comes from another service of ours: without an internal token, from this machine."""
        if self._internal is None:
            return client is None or is_loopback(client)
        return security.same(headers.get("x-tollway-internal", ""), self._internal)

    def require_internal(self, headers: Mapping[str, str], client: str | None = None) -> None:
        """Only for our own services; raises Unauthenticated."""
        if not self.is_internal(headers, client):
            raise Unauthenticated("This is for Tollway's own services.")


def _secret(headers: Mapping[str, str]) -> str | None:
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and bearer.strip():
        return bearer.strip()
    return headers.get("x-api-key", "").strip() or None
