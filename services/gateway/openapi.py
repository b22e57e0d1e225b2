"""The gateway's OpenAPI document: FastAPI's own routes, the hot doors described by hand, and the documents of what
it forwards.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from services.gateway.openapi_doors import COMPONENTS, described
from shared.errors import TollwayError
from shared.peers import Peer

log = structlog.get_logger(__name__)

ASK_SECONDS = 3.0
METHODS = ("get", "put", "post", "delete", "patch", "head", "options")
Document = dict[str, Any]


class ApiDocument:
    """Put together on demand, since chat paths change while running and peers may come later."""

    def __init__(
        self,
        own: Callable[[], Document],
        paths: Callable[[], list[str]],
        peers: Mapping[str, Peer | None],
        forwarded: Callable[[str], bool],
    ) -> None:
        self._own = own
        self._paths = paths
        self._peers = peers
        self._forwarded = forwarded
        self._told: dict[str, Document] = {}

    async def build(self) -> Document:
        """The whole document."""
        own = self._own()
        components: Document = {
            "schemas": dict(COMPONENTS["schemas"]),
            "securitySchemes": COMPONENTS["securitySchemes"],
        }
        components["schemas"] |= own.get("components", {}).get("schemas", {})
        paths = {**described(self._paths()), **{path: _guarded(item) for path, item in own.get("paths", {}).items()}}
        for name, peer in self._peers.items():
            if peer is not None:
                told = await self._of(name, peer)
                schemas = told.get("components", {}).get("schemas", {})
                components["schemas"] |= {f"{name}.{schema}": _renamed(body, name) for schema, body in schemas.items()}
                for path, item in told.get("paths", {}).items():
                    if self._forwarded(path):
                        paths[path] = _guarded(_renamed(item, name))
        return {**own, "paths": paths, "components": components}

    async def _of(self, name: str, peer: Peer) -> Document:
        if name not in self._told:
            try:
                async with asyncio.timeout(ASK_SECONDS):
                    self._told[name] = await peer.get_json("/openapi.json")
            except (TollwayError, TimeoutError):
                log.warning("openapi_incomplete", without=name)
                return {}
        return self._told[name]


def _renamed(value: Any, name: str) -> Any:
    """The same, with references to the peer's schemas under their new names."""
    if isinstance(value, dict):
        return {key: _reference(item, name) if key == "$ref" else _renamed(item, name) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, name) for item in value]
    return value


def _reference(target: Any, name: str) -> Any:
    prefix = "#/components/schemas/"
    if isinstance(target, str) and target.startswith(prefix):
        return f"{prefix}{name}.{target.removeprefix(prefix)}"
    return target


def _guarded(item: Document) -> Document:
    """A path with what every door behind a key may also answer."""
    refusals = {"400": "Error", "401": "Error", "403": "Error", "404": "Error", "413": "Error", "415": "Error",
                "422": "Error", "503": "Error"}  # fmt: skip
    for method, operation in item.items():
        if method in METHODS:
            responses = operation.setdefault("responses", {})
            for status, schema in refusals.items():
                told = responses.get(status)
                if told is None or "HTTPValidationError" in str(told):
                    responses[status] = refused(schema)
            operation.setdefault("security", [{"bearer": []}, {"apiKey": []}])
    return item


def refused(schema: str) -> Document:
    """A refusal with a body."""
    return {
        "description": "Refused; the body says why.",
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }
