"""Who may call: a client key with its limits, and the caller a request was recognised as."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

Kind = Literal["open", "token", "admin", "key"]


@dataclass(frozen=True, kw_only=True)
class Key:
    """A client key as its maker described it; the secret itself is known to its holder alone."""

    id: str
    name: str
    owner: str | None = None
    models: tuple[str, ...] | None = None
    tools: tuple[str, ...] | None = None
    default_tools: tuple[str, ...] = ()
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    budget_per_day: int | None = None  # nano-units of usage.currency, as the next
    budget_per_month: int | None = None
    expires_at: float | None = None
    created_at: float = 0.0
    revoked_at: float | None = None

    @property
    def limited(self) -> bool:
        """Whether anything about this key has to be counted."""
        return self.rated or self.budgeted

    @property
    def rated(self) -> bool:
        """Whether it has a limit per minute."""
        return self.requests_per_minute is not None or self.tokens_per_minute is not None

    @property
    def budgeted(self) -> bool:
        """Whether it has a limit in money."""
        return self.budget_per_day is not None or self.budget_per_month is not None

    def usable(self, now: float) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def may_use(self, model: str) -> bool:
        """Whether a model's name is allowed; entries may be shell patterns."""
        return self.models is None or any(entry == model or fnmatchcase(model, entry) for entry in self.models)


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Whom a request comes from."""

    kind: Kind
    key: Key | None = None

    @property
    def is_admin(self) -> bool:
        """Whether the admin token was shown."""
        return self.kind == "admin"

    @property
    def key_id(self) -> str | None:
        """The label of usage and the owner of reports; the admin and an open gateway's clients have none."""
        if self.key is not None:
            return self.key.id
        return "token" if self.kind == "token" else None

    @property
    def scope(self) -> str:
        """What separates one caller's sessions, aborts and cached answers from another's."""
        return self.key_id or "open"


OPEN = Caller(kind="open")
TOKEN = Caller(kind="token")
ADMIN = Caller(kind="admin")
