"""UnifAI's agent network through its two HTTP endpoints, as two tools that never change.

An action may move money, so nothing is ever sent twice, a payment is dropped unless the operator allows it, and the
allow-list counts for what a search shows as well as for what may be invoked.
"""

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlencode

import msgspec

from services.tools.errors import ToolFailed, ToolForbidden
from services.tools.providers.base import Context, Outcome, fingerprint, tool_name
from shared.config import LiveConfig
from shared.config.tools import UnifAI
from shared.http_client import HttpClient, HttpError, Timeout, read_capped
from shared.messages.tools import ServerStatus, ToolSpec

SERVER = "unifai"
SEARCH_SECONDS = 10.0
INVOKE_SECONDS = 50.0
SEARCH_LIMIT = 10
MOST_BYTES = 2 << 20
_WRAPPERS = ("results", "actions", "items", "data")

SEARCH = tool_name(SERVER, "search_services")
INVOKE = tool_name(SERVER, "invoke_service")
_DESCRIPTIONS = {
    SEARCH: "Searches services (actions) by what they do. Answers a list of actions with the payload each one takes.",
    INVOKE: "Invokes a service that a search found, with the payload it asks for.",
}
_SCHEMAS: dict[str, dict[str, Any]] = {
    SEARCH: {
        "type": "object",
        "properties": {
            "query": {"type": "string", "description": "what the service should do"},
            "limit": {"type": "integer", "minimum": 1, "maximum": 100},
        },
        "required": ["query"],
    },
    INVOKE: {
        "type": "object",
        "properties": {
            "action": {"type": "string", "description": "the action's exact id, from a search"},
            "payload": {"description": "an object, or its JSON text", "type": ["object", "string", "array", "null"]},
            "payment": {"description": "the most to pay, in USD", "type": ["number", "null"]},
        },
        "required": ["action"],
    },
}


class UnifAIProvider:
    """Offers search_services and invoke_service, and the actions the operator fixed."""

    def __init__(self, config: LiveConfig, http: HttpClient) -> None:
        self._config = config
        self._http = http
        self._last_error: str | None = None

    @property
    def _settings(self) -> UnifAI:
        return self._config.current.tools.unifai

    def tools(self) -> list[ToolSpec]:
        """Two stable tools and the static actions, when there is a key."""
        if not self._settings.api_key:
            return []
        dynamic = [_spec(SEARCH, _DESCRIPTIONS[SEARCH], _SCHEMAS[SEARCH], idempotent=True)]
        dynamic.append(_spec(INVOKE, _DESCRIPTIONS[INVOKE], _SCHEMAS[INVOKE]))
        static = [_static(action) for action in self._settings.static_actions]
        return sorted([*dynamic, *static], key=lambda tool: tool.name)

    def servers(self) -> list[ServerStatus]:
        """One server, when there is a key."""
        if not self._settings.api_key:
            return []
        state = "degraded" if self._last_error else "ready"
        return [
            ServerStatus(
                name=SERVER, kind="unifai", state=state, tool_count=len(self.tools()), last_error=self._last_error
            )
        ]

    async def serve(self, changed: Callable[[], None]) -> None:
        """Nothing to hold."""
        del changed

    async def settled(self) -> None:
        """At once."""

    async def run(self, tool: ToolSpec, arguments: dict[str, Any], context: Context) -> Outcome:
        """Search, or invoke; never again on a failure."""
        if tool.name == SEARCH:
            return await self._search(arguments, context)
        if tool.name == INVOKE:
            return await self._invoke(arguments["action"], arguments.get("payload"), arguments.get("payment"), context)
        for action in self._settings.static_actions:
            if _static(action).name == tool.name:
                return await self._invoke(action, arguments.get("payload"), None, context)
        raise ToolFailed(f"no action {tool.name}")

    def _allowed(self, action: str) -> bool:
        settings = self._settings
        patterns = (*settings.allow_actions, *settings.static_actions)
        return any(fnmatchcase(action, pattern) for pattern in patterns)

    async def _search(self, arguments: dict[str, Any], context: Context) -> Outcome:
        wanted = [("query", arguments["query"]), ("limit", str(arguments.get("limit", SEARCH_LIMIT)))]
        wanted += [("includeToolkits", toolkit) for toolkit in self._settings.static_toolkits]
        body = await self._ask("GET", f"/actions/search?{urlencode(wanted)}", None, SEARCH_SECONDS, context)
        found = _unwrap(_decoded(body))
        if not isinstance(found, list):
            return Outcome(body.decode("utf-8", "replace"))
        shown = [row for row in found if not isinstance(row, dict) or self._allowed(str(row.get("action", "")))]
        return Outcome(msgspec.json.encode(shown).decode())

    async def _invoke(self, action: str, payload: Any, payment: Any, context: Context) -> Outcome:
        if not self._allowed(action):
            raise ToolForbidden(f"the action {action} is not on the operator's list")
        body: dict[str, Any] = {"action": action, "payload": {} if payload is None else payload}
        if payment is not None and self._settings.allow_payments:
            body["payment"] = payment
        raw = await self._ask("POST", "/actions/call", msgspec.json.encode(body), INVOKE_SECONDS, context)
        return Outcome(raw.decode("utf-8", "replace"))

    async def _ask(self, method: str, path: str, body: bytes | None, seconds: float, context: Context) -> bytes:
        settings = self._settings
        headers = {"authorization": settings.api_key, "accept": "application/json", "user-agent": "tollway"}
        if body is not None:
            headers["content-type"] = "application/json"
        url = settings.base_url.rstrip("/") + path
        seconds = min(seconds, context.seconds)
        try:
            async with self._http.session().request(
                method, url, data=body, headers=headers, timeout=Timeout(total=seconds), allow_redirects=False
            ) as response:
                answer = await read_capped(response, MOST_BYTES, seconds=seconds)
                status = response.status
        except TimeoutError as error:
            raise self._failed(f"UnifAI did not answer within {seconds:.0f} s", "timeout") from error
        except (HttpError, ValueError) as error:
            raise self._failed(f"UnifAI could not be asked: {error}", "tool_failed") from error
        if status >= 300:
            raise self._failed(f"UnifAI answered {status}: {_error_text(answer)}", f"http_{status}")
        self._last_error = None
        return answer

    def _failed(self, message: str, code: str) -> ToolFailed:
        self._last_error = message.replace(self._settings.api_key, "…")[:300]
        return ToolFailed(self._last_error, code=code)


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None


def _unwrap(value: Any) -> Any:
    """The array, which some versions of the service wrap into an object."""
    if isinstance(value, dict):
        for name in _WRAPPERS:
            if isinstance(value.get(name), list):
                return value[name]
    return value


def _error_text(body: bytes) -> str:
    value = _decoded(body)
    if isinstance(value, dict):
        for name in ("error", "message", "detail"):
            found = value.get(name)
            if isinstance(found, dict):
                found = found.get("message")
            if isinstance(found, str):
                return found[:500]
    return body[:500].decode("utf-8", "replace")


def _static(action: str) -> ToolSpec:
    schema = {
        "type": "object",
        "properties": {"payload": {"type": "string", "description": "the payload as JSON text"}},
    }
    return _spec(tool_name(SERVER, action), f"Invokes the service {action}.", schema)


def _spec(name: str, description: str, schema: dict[str, Any], *, idempotent: bool = False) -> ToolSpec:
    return ToolSpec(
        name=name,
        server=SERVER,
        description=description,
        input_schema=schema,
        source="unifai",
        pool="unifai",
        idempotent=idempotent,
        fingerprint=fingerprint(name, description, schema),
    )
