"""The FastAPI application for what is not hot: the admin's doors, the documents, and errors told in our shape."""

from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from services.gateway import docs_page, refusal
from services.gateway.errors import MethodNotAllowed
from services.gateway.exchange import dialect_of
from services.gateway.openapi import ApiDocument
from shared import ids
from shared.errors import BadRequest, Internal, NotFound, TollwayError, Unprocessable
from shared.health import VERSION
from shared.messages.gateway import Dialect

log = structlog.get_logger(__name__)

DESCRIPTION = """One gate for every model, in OpenAI's and Anthropic's protocols.

Keys travel as `Authorization: Bearer …` or `x-api-key: …`, on every surface; when both are sent and differ,
`Authorization` decides. Without TOKEN and without keys every client surface is open, whatever key is sent; the first
key that is made closes the gateway, and it stays closed when that key is revoked. Admin surfaces want the admin token
when one is set. A request without a bound on its answer is admitted to a budget with what its model usually answers,
or with all that is left.
"""
_KINDS: dict[int, type[TollwayError]] = {400: BadRequest, 404: NotFound, 422: Unprocessable}


def make_app() -> FastAPI:
    """The application without routes of its own."""
    app = FastAPI(
        title="Tollway",
        version=VERSION,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        strict_content_type=False,
    )
    app.add_exception_handler(TollwayError, _on_ours)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_anything)
    return app


def add_documents(app: FastAPI, document: ApiDocument) -> None:
    """`/`, `/docs` and `/openapi.json`."""

    async def root() -> dict[str, str]:
        return {"name": "Tollway", "version": VERSION, "docs": "/docs", "health": "/health"}

    async def openapi() -> JSONResponse:
        return JSONResponse(await document.build())

    async def docs(request: Request) -> HTMLResponse:
        origin = f"{request.url.scheme}://{request.url.netloc}"
        return HTMLResponse(docs_page.page(await document.build(), origin), headers=docs_page.HEADERS)

    app.add_api_route("/", root, methods=["GET", "HEAD"], include_in_schema=False)
    app.add_api_route("/openapi.json", openapi, methods=["GET", "HEAD"], include_in_schema=False)
    app.add_api_route("/docs", docs, methods=["GET", "HEAD"], include_in_schema=False)


def _response(
    error: TollwayError, status: int | None = None, headers: dict[str, str] | None = None, dialect: Dialect = "openai"
) -> JSONResponse:
    request_id = ids.request_id()
    told = refusal.headers_of(error) | (headers or {}) | {"x-request-id": request_id}
    return JSONResponse(refusal.told(error, dialect, request_id), status or error.status, told)


async def _on_ours(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, TollwayError)  # noqa: S101 -- registered for this class alone
    return _response(error)


async def _on_invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 -- registered for this class alone
    first: Any = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"][1:])
    if first["type"] == "json_invalid":
        return _response(BadRequest("The body is not valid JSON."))
    return _response(Unprocessable(f"'{place or 'body'}': {first['msg']}", param=place or None))


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 -- registered for this class alone
    told: TollwayError = _KINDS.get(error.status_code, BadRequest)(str(error.detail))
    if error.status_code == 404:
        told = NotFound(f"There is nothing at {request.url.path[:200]}.")
    elif error.status_code == 405:
        told = MethodNotAllowed.use(_methods(request))
    return _response(told, error.status_code, dict(told.headers), dialect_of(request.scope))


def _methods(request: Request) -> list[str]:
    """What the path takes by any of its routes; the framework names those of the first."""
    routes = [route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in routes for method in getattr(route, "methods", None) or ()})


async def _on_anything(_: Request, error: Exception) -> JSONResponse:
    log.error("request_failed", exc_info=error)
    return _response(Internal())
