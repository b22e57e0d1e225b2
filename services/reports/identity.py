"""Who asks: what the gateway vouches for, believed only with the internal token when there is one."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared import security
from shared.errors import Unauthenticated
from shared.settings import Settings, revealed

ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """The owner of what is made; `sees` is the owner whose jobs are visible, None for all."""

    owner: str
    is_admin: bool

    @property
    def sees(self) -> str | None:
        return None if self.is_admin else self.owner


class Badge:
    """The token that reports shows to the other services: nobody else starts work of its own."""

    def __init__(self, settings: Settings) -> None:
        self.take_up(settings)

    def take_up(self, settings: Settings) -> None:
        """Show this one from now on."""
        self.token = revealed(settings.admin_token or settings.token)


class Doorkeeper:
    """Recognises callers by their headers."""

    def __init__(self, settings: Settings) -> None:
        self._internal = revealed(settings.internal_token)
        self.take_up(settings)

    def take_up(self, settings: Settings) -> None:
        """Let in who shows this admin token from now on."""
        self._admin = revealed(settings.admin_token)

    def identify(self, headers: Mapping[str, str]) -> Caller:
        """The caller; raises Unauthenticated."""
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        token = bearer.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        if self._admin and token and security.same(token, self._admin):
            return Caller(ADMIN, is_admin=True)
        if self._internal and not security.same(headers.get("x-tollway-internal", ""), self._internal):
            raise Unauthenticated("Reports are reached through the gateway, or with the admin token.")
        key_id = headers.get("x-tollway-key-id")
        if key_id:
            return Caller(key_id, is_admin=headers.get("x-tollway-admin") == "1")
        return Caller(ADMIN, is_admin=headers.get("x-tollway-admin") == "1")
