"""`/admin/*`: keys and the router's reasons, for the admin token. A key's secret is in one answer only, the one
that made it.
"""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator

from services.gateway.auth import Doorkeeper
from services.gateway.callers import Key
from services.gateway.exchange import headers_of
from services.gateway.key_desk import Change, KeyDesk
from services.gateway.limits import BudgetStanding, Limiter
from shared.clock import from_unix
from shared.messages.gateway import Router
from shared.money import decimal_of, nano_of

MOST_COUNT = 1_000_000_000
_MOMENT: list[Any] = [{"type": "string", "format": "date-time"}, {"type": "number"}, {"type": "null"}]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Pattern = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^\x00]*$")]
Patterns = Annotated[list[Pattern], Field(max_length=500)]
Count = Annotated[int, Field(strict=True, ge=1, le=MOST_COUNT)]
Budget = Annotated[float, Field(strict=True, ge=0, le=MOST_COUNT, allow_inf_nan=False)]
KeyId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,40}$")]


class KeyFields(BaseModel):
    """What may be said about a key; `null` or nothing means "no limit"."""

    model_config = ConfigDict(extra="forbid")

    owner: Name | None = None
    models: Patterns | None = Field(None, description="names or shell patterns; null allows all")
    tools: Patterns | None = Field(None, description="names, `server__*` or `*`; null allows all")
    default_tools: Patterns | None = Field(None, description="offered when a request names none")
    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    budget_per_day: Budget | None = Field(None, description="in usage.currency")
    budget_per_month: Budget | None = Field(None, description="in usage.currency")
    expires_at: datetime | None = Field(
        None, description="ISO 8601 or Unix seconds", json_schema_extra={"anyOf": _MOMENT}
    )

    @field_validator("expires_at")
    @classmethod
    def _aware(cls, value: datetime | None) -> datetime | None:
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


class NewKey(KeyFields):
    """A key to make."""

    name: Name


class ChangedKey(KeyFields):
    """What to change; what is not named stays."""

    name: Name | None = None


class KeyTold(BaseModel):
    """A key without its secret."""

    id: str
    name: str
    owner: str | None
    models: list[str] | None
    tools: list[str] | None
    default_tools: list[str]
    requests_per_minute: int | None
    tokens_per_minute: int | None
    budget_per_day: float | None
    budget_per_month: float | None
    expires_at: AwareDatetime | None
    created_at: AwareDatetime


class BudgetTold(BaseModel):
    """What counts against a key's budgets right now, in usage.currency."""

    spent_today: float
    spent_this_month: float
    reserved: float


class KeySeen(KeyTold):
    """A key and where it stands."""

    standing: BudgetTold | None = Field(description="null for a key without budgets")


class KeyMade(KeyTold):
    """A new key with its secret."""

    key: str


class KeyList(BaseModel):
    """All keys that are not revoked."""

    keys: list[KeyTold]


def admin_routes(doorkeeper: Doorkeeper, desk: KeyDesk, limiter: Limiter, router: Router) -> APIRouter:
    """The admin's doors."""

    def admin_only(request: Request) -> None:
        doorkeeper.require_admin(headers_of(request.scope))

    routes = APIRouter(prefix="/admin", tags=["admin"], dependencies=[Depends(admin_only)])

    @routes.post("/keys", status_code=201, response_model=KeyMade, summary="Make a key")
    async def make_key(wanted: NewKey) -> dict[str, Any]:
        key, secret = await desk.make(wanted.name, _change(wanted))
        return {**_told(key), "key": secret}

    @routes.get("/keys", response_model=KeyList, summary="List keys")
    async def list_keys() -> dict[str, Any]:
        return {"keys": [_told(key) for key in await desk.listed()]}

    @routes.get("/keys/{key_id}", response_model=KeySeen, summary="One key and where it stands")
    async def get_key(key_id: KeyId) -> dict[str, Any]:
        key = await desk.get(key_id)
        return {**_told(key), "standing": _standing(await limiter.look(key)) if key.budgeted else None}

    @routes.patch("/keys/{key_id}", response_model=KeyTold, summary="Change a key")
    async def change_key(key_id: KeyId, wanted: ChangedKey) -> dict[str, Any]:
        return _told(await desk.change(key_id, _change(wanted)))

    @routes.delete("/keys/{key_id}", status_code=204, summary="Revoke a key")
    async def revoke_key(key_id: KeyId) -> Response:
        await desk.revoke(key_id)
        return Response(status_code=204)

    @routes.get("/router", summary="How the router would choose right now, and why")
    async def explain() -> dict[str, Any]:
        return await router.explain()

    return routes


def _change(wanted: KeyFields) -> Change:
    """The fields that were named, as a key holds them."""
    change: Change = {}
    for name in wanted.model_fields_set:
        value = getattr(wanted, name)
        if name == "name" and value is None:
            continue
        if name in ("models", "tools") and value is not None:
            value = tuple(value)
        elif name == "default_tools":
            value = tuple(value or ())
        elif name.startswith("budget_") and value is not None:
            value = nano_of(value)
        elif name == "expires_at" and value is not None:
            value = value.timestamp()
        change[name] = value
    return change


def _told(key: Key) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "owner": key.owner,
        "models": key.models,
        "tools": key.tools,
        "default_tools": key.default_tools,
        "requests_per_minute": key.requests_per_minute,
        "tokens_per_minute": key.tokens_per_minute,
        "budget_per_day": _amount(key.budget_per_day),
        "budget_per_month": _amount(key.budget_per_month),
        "expires_at": None if key.expires_at is None else from_unix(key.expires_at),
        "created_at": from_unix(key.created_at),
    }


def _standing(standing: BudgetStanding) -> dict[str, float]:
    return {name: float(decimal_of(nano)) for name, nano in asdict(standing).items()}


def _amount(nano: int | None) -> float | None:
    return None if nano is None else float(decimal_of(nano))
