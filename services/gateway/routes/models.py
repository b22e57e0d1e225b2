"""`/v1/models` and `/v1/models/{id}`: what the caller may use, in OpenAI's shape or, for its clients, in
Anthropic's.
"""

from typing import Any
from urllib.parse import parse_qs

import msgspec

from services.gateway.answer import Desk
from services.gateway.exchange import Exchange, Floor
from shared import clock
from shared.errors import BadRequest, NotFound
from shared.health import Receive, Scope, Send
from shared.messages.gateway import ModelInfo, Router

MOST = 1000
USUAL = 20


class ModelsEndpoint:
    """Both paths; an id may hold slashes and colons, plain or percent-encoded."""

    def __init__(self, desk: Desk, floor: Floor, router: Router) -> None:
        self._desk = desk
        self._floor = floor
        self._router = router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        anthropic = any(name == b"anthropic-version" for name, _ in scope["headers"])
        exchange = Exchange(self._floor, scope, receive, send, "anthropic" if anthropic else "openai")
        _, _, wanted = scope["path"].partition("/models")

        async def work(exchange: Exchange) -> None:
            body = await self._told(exchange, wanted.removeprefix("/"))
            await exchange.respond(200, {}, b"" if scope["method"] == "HEAD" else msgspec.json.encode(body))

        await exchange.run(work)

    async def _told(self, exchange: Exchange, wanted: str) -> dict[str, Any]:
        caller = self._desk.identify(exchange.headers)
        key = caller.key
        models = [model for model in await self._router.models() if key is None or key.may_use(model.id)]
        anthropic = exchange.dialect == "anthropic"
        if wanted:
            found = next((model for model in models if model.id == wanted), None)
            if found is None:
                raise NotFound(f"The model '{wanted[:256]}' does not exist.", param="model", code="model_not_found")
            return _for_anthropic(found) if anthropic else _for_openai(found)
        if not anthropic:
            return {"object": "list", "data": [_for_openai(model) for model in models]}
        return _page(models, parse_qs(exchange.query, keep_blank_values=True))


def _for_openai(model: ModelInfo) -> dict[str, Any]:
    return {"id": model.id, "object": "model", "created": model.created, "owned_by": model.owned_by}


def _for_anthropic(model: ModelInfo) -> dict[str, Any]:
    created = clock.from_unix(model.created).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"id": model.id, "type": "model", "display_name": model.display_name or model.id, "created_at": created}


def _page(models: list[ModelInfo], query: dict[str, list[str]]) -> dict[str, Any]:
    """One page as Anthropic's API tells it."""
    limit = _limit(query.get("limit", [str(USUAL)])[-1])
    names = [model.id for model in models]
    start, end = 0, len(models)
    if (after := query.get("after_id", [""])[-1]) in names:
        start = names.index(after) + 1
    if (before := query.get("before_id", [""])[-1]) in names:
        end = names.index(before)
        start = max(start, end - limit)
    page = models[start : min(end, start + limit)]
    return {
        "data": [_for_anthropic(model) for model in page],
        "has_more": start + limit < len(models) if not before else start > 0,
        "first_id": page[0].id if page else None,
        "last_id": page[-1].id if page else None,
    }


def _limit(told: str) -> int:
    if not (told.isascii() and told.isdigit()) or not 1 <= int(told[:6]) <= MOST:
        raise BadRequest(f"'limit' must be a number from 1 to {MOST}.", param="limit")
    return int(told)
