"""Tools of our own: the time, arithmetic, web pages, crypto markets, and the rest of a long result."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from services.tools.errors import ToolFailed
from services.tools.providers.base import Context, Outcome, fingerprint, tool_name
from services.tools.providers.calculate import calculate
from services.tools.providers.fetch import fetch_url
from shared import clock
from shared.cache import Cache
from shared.config import LiveConfig
from shared.errors import CacheUnavailable
from shared.http_client import HttpClient, HttpError, Timeout, read_capped
from shared.messages.tools import ServerStatus, ToolSpec, result_key

SERVER = "builtin"
COINGECKO = "https://api.coingecko.com/api/v3"
PAGE_CHARACTERS = 16_000
MARKET_SECONDS = 15.0
MARKET_BYTES = 1 << 20

Handler = Callable[[dict[str, Any], Context], Awaitable[Outcome]]


class BuiltinProvider:
    """Runs the tools below."""

    def __init__(self, config: LiveConfig, http: HttpClient, cache: Cache) -> None:
        self._config = config
        self._http = http
        self._cache = cache
        self._handlers: dict[str, Handler] = {
            "get_current_time": self._time,
            "calculate": self._calculate,
            "fetch_url": self._fetch,
            "token_market": self._market,
            "read_result": self._read_result,
        }
        self._tools = [_spec(name, *_WHAT[name]) for name in self._handlers]
        self._by_name = {tool_name(SERVER, name): handler for name, handler in self._handlers.items()}

    def tools(self) -> list[ToolSpec]:
        """All of them, unless the configuration turns them off."""
        return self._tools if self._config.current.tools.builtin else []

    def servers(self) -> list[ServerStatus]:
        """Always there."""
        return (
            [ServerStatus(name=SERVER, kind="builtin", state="ready", tool_count=len(self._tools))]
            if self.tools()
            else []
        )

    async def serve(self, changed: Callable[[], None]) -> None:
        """Nothing to hold; a change of the configuration may turn the tools on or off."""
        del changed

    async def settled(self) -> None:
        """At once."""

    async def run(self, tool: ToolSpec, arguments: dict[str, Any], context: Context) -> Outcome:
        """Run one of them."""
        return await self._by_name[tool.name](arguments, context)

    async def _time(self, arguments: dict[str, Any], context: Context) -> Outcome:
        del context
        zone = arguments.get("timezone") or self._config.current.usage.timezone
        try:
            moment = clock.utc_now().astimezone(ZoneInfo(zone))
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ToolFailed(f"{zone!r} is not a time zone", code="invalid_arguments") from error
        answer = {
            "timezone": zone,
            "datetime": moment.isoformat(timespec="seconds"),
            "day_of_week": moment.strftime("%A"),
            "is_dst": bool(moment.dst() or timedelta()),
        }
        return Outcome(_json(answer))

    async def _calculate(self, arguments: dict[str, Any], context: Context) -> Outcome:
        del context
        return Outcome(str(calculate(arguments["expression"])))

    async def _fetch(self, arguments: dict[str, Any], context: Context) -> Outcome:
        del context
        most = arguments.get("max_characters", PAGE_CHARACTERS)
        return await fetch_url(arguments["url"], most, self._http, self._config.current.tools)

    async def _market(self, arguments: dict[str, Any], context: Context) -> Outcome:
        del context
        source = self._config.current.reports.data_sources.get("coingecko")
        base = (source.base_url if source else None) or COINGECKO
        headers = {"accept": "application/json", "user-agent": "tollway"}
        if source and source.api_key:
            headers["x-cg-pro-api-key" if "pro-api" in base else "x-cg-demo-api-key"] = source.api_key
        currency = arguments.get("currency", "usd")
        url = f"{base.rstrip('/')}/coins/markets?vs_currency={quote(currency)}&ids={quote(arguments['token'])}"
        try:
            async with self._http.session().get(
                url, headers=headers, timeout=Timeout(total=MARKET_SECONDS)
            ) as response:
                body = await read_capped(response, MARKET_BYTES, seconds=MARKET_SECONDS)
                status = response.status
        except (HttpError, TimeoutError, ValueError) as error:
            raise ToolFailed(f"the market data source did not answer: {type(error).__name__}") from error
        if status != 200:
            raise ToolFailed(f"the market data source answered {status}")
        return _market_outcome(body, arguments["token"], currency)

    async def _read_result(self, arguments: dict[str, Any], context: Context) -> Outcome:
        try:
            raw = await self._cache.get(result_key(context.key_id, arguments["id"]))
        except CacheUnavailable as error:
            raise ToolFailed("kept results cannot be read right now") from error
        if raw is None:
            raise ToolFailed(f"no result {arguments['id']!r} is kept (any more)")
        text = raw.decode("utf-8", "replace")
        start, most = arguments.get("offset", 0), arguments.get("length", PAGE_CHARACTERS)
        end = min(len(text), start + most)
        return Outcome(f"[characters {start}-{end} of {len(text)}]\n{text[start:end]}")


def _market_outcome(body: bytes, token: str, currency: str) -> Outcome:
    try:
        rows = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise ToolFailed("the market data source did not answer with JSON") from error
    if not isinstance(rows, list) or not rows or not isinstance(rows[0], dict):
        raise ToolFailed(f"no market data for {token!r}; the id is CoinGecko's, for example 'usd-coin'")
    kept = {name: rows[0].get(name) for name in _MARKET_FIELDS}
    return Outcome(_json({**kept, "currency": currency}))


_MARKET_FIELDS = (
    "id",
    "symbol",
    "name",
    "current_price",
    "market_cap",
    "market_cap_rank",
    "fully_diluted_valuation",
    "total_volume",
    "high_24h",
    "low_24h",
    "price_change_percentage_24h",
    "circulating_supply",
    "total_supply",
    "ath",
    "atl",
    "last_updated",
)

# What each tool is for and which arguments it takes.
_WHAT: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "get_current_time": (
        "The current date and time in a time zone.",
        {
            "timezone": {
                "type": "string",
                "description": "IANA name such as Asia/Shanghai; the operator's zone when left out",
            }
        },
        [],
    ),
    "calculate": (
        "The value of an arithmetic expression: + - * / // % **, parentheses, functions such as sqrt, log, sin, max.",
        {"expression": {"type": "string", "maxLength": 1000}},
        ["expression"],
    ),
    "fetch_url": (
        "Reads a public web page or JSON document and returns its text.",
        {
            "url": {"type": "string", "maxLength": 4096},
            "max_characters": {"type": "integer", "minimum": 100, "maximum": 200_000},
        },
        ["url"],
    ),
    "token_market": (
        "Price, market capitalisation, volume and supply of a crypto token.",
        {
            "token": {"type": "string", "description": "CoinGecko id, for example usd-coin", "maxLength": 100},
            "currency": {"type": "string", "description": "for example usd or cny", "maxLength": 10},
        },
        ["token"],
    ),
    "read_result": (
        "Reads part of a long tool result that was shortened; the id was given with the shortened result.",
        {
            "id": {"type": "string", "maxLength": 100},
            "offset": {"type": "integer", "minimum": 0},
            "length": {"type": "integer", "minimum": 1, "maximum": 100_000},
        },
        ["id"],
    ),
}


def _spec(name: str, description: str, properties: dict[str, Any], required: list[str]) -> ToolSpec:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
    full = tool_name(SERVER, name)
    return ToolSpec(
        name=full,
        server=SERVER,
        description=description,
        input_schema=schema,
        source="builtin",
        pool="builtin",
        idempotent=True,
        fingerprint=fingerprint(full, description, schema),
    )


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
