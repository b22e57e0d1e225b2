"""What may be asked for: the bodies of POST /v1/reports, checked field by field."""

import re
from datetime import date
from hashlib import sha256
from typing import Annotated, Any, Literal, Self

import msgspec
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    ValidationError,
    model_validator,
)

from services.reports.chains import CHAINS, find_chain
from services.reports.errors import FieldInvalid
from services.reports.words import LANGUAGES

TOKEN = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
ADDRESS = re.compile(r"0x[0-9a-f]{40}")
TOKEN_FORMATS = ("html", "pdf", "json", "csv", "png")
Section = Literal["peg", "flows", "market", "risk", "comovement", "liquidity", "supply", "holders", "defi", "security"]
# A leap year.
MOST_DAYS = 366
CHOICES = ("sections", "from", "to")
USAGE_FORMATS = ("html", "json", "csv", "pdf")


def _token(value: str) -> str:
    lowered = value.strip().lower()
    if not TOKEN.fullmatch(lowered):
        raise ValueError("a CoinGecko id, such as usd-coin")
    return lowered


def _address(value: str) -> str:
    lowered = value.strip().lower()
    if not ADDRESS.fullmatch(lowered):
        raise ValueError("a contract address: 0x and 40 hexadecimal digits")
    return lowered


def _chain(value: str) -> str:
    found = find_chain(value)
    if found is None:
        raise ValueError(f"one of {', '.join(CHAINS)}")
    return found.name


def _language(value: str) -> str:
    short = value.strip().lower().replace("_", "-").split("-")[0]
    if short not in LANGUAGES:
        raise ValueError(f"one of {', '.join(LANGUAGES)}")
    return short


def _day(value: Any) -> date:
    try:
        found = date.fromisoformat(value)
    except (TypeError, ValueError):
        found = date.min
    if not 1971 <= found.year <= 9000:
        raise ValueError("a date, such as 2026-10-31")
    return found


Day = Annotated[date, BeforeValidator(_day)]


def _listed(value: Any) -> Any:
    """A single format is a list of one."""
    return [value] if isinstance(value, str) else value


def _unique(value: list[str]) -> list[str]:
    return list(dict.fromkeys(value))


class InsightChoice(BaseModel):
    """Insight by a named model."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    model: Annotated[str, Field(min_length=1, max_length=200)]


class _Common(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)
    language: Annotated[str, AfterValidator(_language)] = "en"
    webhook_url: Annotated[str, Field(min_length=1, max_length=2000)] | None = None


class TokenRequest(_Common):
    """A token report."""

    type: Literal["token"] = "token"
    token: Annotated[str, AfterValidator(_token)]
    address: Annotated[str, AfterValidator(_address)]
    chain: Annotated[str, AfterValidator(_chain)] = "ethereum"
    days: Annotated[StrictInt, Field(ge=1, le=365)] = 90
    formats: Annotated[
        list[Literal["html", "pdf", "json", "csv", "png"]],
        BeforeValidator(_listed),
        AfterValidator(_unique),
        Field(min_length=1),
    ] = ["html"]
    # Chapters wanted; those that do not go with the token's class are left out.
    sections: (
        Annotated[
            list[Section],
            BeforeValidator(_listed),
            AfterValidator(_unique),
            Field(min_length=1),
        ]
        | None
    ) = None
    insight: StrictBool | InsightChoice = True
    sample: StrictBool = False


class UsageRequest(_Common):
    """A usage report, over the last days or over those from a date to another, both included."""

    type: Literal["usage"]
    days: Annotated[StrictInt, Field(ge=1, le=365)] = 7
    first: Annotated[Day | None, Field(alias="from")] = None
    last: Annotated[Day | None, Field(alias="to")] = None
    formats: Annotated[
        list[Literal["html", "json", "csv", "pdf"]],
        BeforeValidator(_listed),
        AfterValidator(_unique),
        Field(min_length=1),
    ] = ["json"]

    @model_validator(mode="after")
    def _is_a_period(self) -> Self:
        first, last = self.first, self.last
        if (first is None) != (last is None):
            raise ValueError("from and to: one says nothing without the other")
        if first and last and not 0 <= (last - first).days < MOST_DAYS:
            raise ValueError(f"from and to: from is not after to, and they are at most {MOST_DAYS} days")
        if first and "days" in self.model_fields_set:
            raise ValueError("days: says another period than from and to; give one of them")
        return self


MODELS: dict[str, type[_Common]] = {"token": TokenRequest, "usage": UsageRequest}
FORMAT_NAMES = ("format", "formats")


def ignored(body: dict[str, Any]) -> list[str]:
    """Fields that mean nothing in this type of report, so that a slip of the pen does not pass unseen."""
    fields = MODELS[body.get("type", "token")].model_fields
    known = {*(field.alias or name for name, field in fields.items()), *FORMAT_NAMES}
    return [f"ignored: there is no field {name[:60]!r} in this type of report" for name in body if name not in known]


def read(body: Any) -> dict[str, Any]:
    """The normalised request; raises FieldInvalid naming the field."""
    if not isinstance(body, dict):
        raise FieldInvalid("the body is a JSON object", param="body")
    kind = body.get("type", "token")
    if kind not in ("token", "usage"):
        raise FieldInvalid("type: 'token' or 'usage'", param="type")
    body = {name: value for name, value in body.items() if not (name in FORMAT_NAMES and value is None)}
    if "format" in body:
        single = _listed(body.pop("format"))
        if _listed(body.setdefault("formats", single)) != single:
            raise FieldInvalid("format: says something else than formats; give one of them", param="format")
    try:
        request = MODELS[kind].model_validate(body).model_dump(mode="json", by_alias=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"] if part not in ("bool", "InsightChoice"))
        message = first["msg"].removeprefix("Value error, ")
        if not place:  # of several fields: it names the first one itself
            place = message.split(" ", 1)[0].rstrip(":")
            raise FieldInvalid(message, param=place) from None
        raise FieldInvalid(f"{place}: {message}", param=place) from None
    if request.get("from"):
        del request["days"]
    # Not choosing is the request it was before there was a choice: its fingerprint stays.
    return {name: value for name, value in request.items() if not (name in CHOICES and value is None)}


def period_of(request: dict[str, Any]) -> dict[str, Any]:
    """The days of a normalised usage request, as the usage service is asked for them."""
    return {name: request[name] for name in ("days", "from", "to") if name in request}


def fingerprint(request: dict[str, Any]) -> str:
    """The same for the same request, however it was spelled."""
    return sha256(msgspec.json.encode(request, order="deterministic")).hexdigest()


def schema() -> dict[str, Any]:
    """The bodies as JSON Schema for the API's description, without references into a document of their own."""
    token = TokenRequest.model_json_schema()
    choice = token.pop("$defs")["InsightChoice"]
    token["properties"]["insight"]["anyOf"] = [{"type": "boolean"}, choice]
    return {"oneOf": [token, UsageRequest.model_json_schema()]}
