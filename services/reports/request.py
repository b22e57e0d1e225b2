"""What may be asked for: the bodies of POST /v1/reports, checked field by field."""

import re
from hashlib import sha256
from typing import Annotated, Any, Literal

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
)

from services.reports.chains import CHAINS, find_chain
from services.reports.errors import FieldInvalid
from services.reports.words import LANGUAGES

TOKEN = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
ADDRESS = re.compile(r"0x[0-9a-f]{40}")
TOKEN_FORMATS = ("html", "pdf", "json", "csv", "png")
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
    webhook_url: Annotated[str, Field(max_length=2000)] | None = None


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
    insight: StrictBool | InsightChoice = True
    sample: StrictBool = False


class UsageRequest(_Common):
    """A usage report."""

    type: Literal["usage"]
    days: Annotated[StrictInt, Field(ge=1, le=366)] = 7
    formats: Annotated[
        list[Literal["html", "json", "csv", "pdf"]],
        BeforeValidator(_listed),
        AfterValidator(_unique),
        Field(min_length=1),
    ] = ["json"]


def read(body: Any) -> dict[str, Any]:
    """The normalised request; raises FieldInvalid naming the field."""
    if not isinstance(body, dict):
        raise FieldInvalid("the body is a JSON object", param="body")
    kind = body.get("type", "token")
    if kind not in ("token", "usage"):
        raise FieldInvalid("type: 'token' or 'usage'", param="type")
    if "format" in body and "formats" not in body:
        body = {**body, "formats": body["format"]}
    if body.get("formats") is None:
        body = {name: value for name, value in body.items() if name != "formats"}
    try:
        model = TokenRequest if kind == "token" else UsageRequest
        return model.model_validate(body).model_dump(mode="json")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"] if part not in ("bool", "InsightChoice"))
        raise FieldInvalid(f"{place}: {first['msg'].removeprefix('Value error, ')}", param=place) from None


def fingerprint(request: dict[str, Any]) -> str:
    """The same for the same request, however it was spelled."""
    return sha256(msgspec.json.encode(request, order="deterministic")).hexdigest()


def schema() -> dict[str, Any]:
    """The bodies as JSON Schema for the API's description, without references into a document of their own."""
    token = TokenRequest.model_json_schema()
    choice = token.pop("$defs")["InsightChoice"]
    token["properties"]["insight"]["anyOf"] = [{"type": "boolean"}, choice]
    return {"oneOf": [token, UsageRequest.model_json_schema()]}
