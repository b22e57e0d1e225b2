"""What every route begins with: the ledger and the reader; and how failures are told."""

from collections.abc import Awaitable, Callable, Hashable
from datetime import date
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.exceptions import HTTPException
from starlette.responses import Response

from services.usage.access import Reader
from services.usage.answer import Json, error_body
from services.usage.ledger import Ledger
from shared import clock
from shared.errors import BadRequest, TollwayError, Unprocessable

_FIRST = date(1971, 1, 1)


def ledger_of(request: Request) -> Ledger:
    """The composed ledger."""
    ledger: Ledger = request.app.state.ledger
    return ledger


def reader_of(request: Request) -> Reader:
    """Who is asking; raises Unauthenticated, or BadRequest for what no name can hold."""
    if "\0" in request.url.path or "%00" in request.url.query:
        raise BadRequest("A NUL character is no part of a name.")
    return ledger_of(request).access.identify(request.headers, client_of(request))


def client_of(request: Request) -> str | None:
    """The address a request comes from, if it came over a socket."""
    return request.client.host if request.client else None


LedgerHere = Annotated[Ledger, Depends(ledger_of)]
ReaderHere = Annotated[Reader, Depends(reader_of)]


def period(ledger: Ledger, first: date | None, last: date | None, days: int, most_days: int) -> tuple[date, date]:
    """The first and the last date of what is asked: as given, else the last days until today; raises Unprocessable."""
    last = last or ledger.zone.today(clock.now())
    first = first or date.fromordinal(max(1, last.toordinal() - days + 1))
    if not _FIRST <= first <= last or last.year > 9000:
        raise Unprocessable("`from` must not be after `to`.", param="from")
    if (last - first).days >= most_days:
        raise Unprocessable(f"At most {most_days} days can be shown.", param="from")
    return first, last


async def kept(ledger: Ledger, question: Hashable, make: Callable[[AsyncConnection], Awaitable[Any]]) -> Response:
    """The answer to a question, worked out once for all who ask it until something new is booked."""

    async def fresh() -> Any:
        async with ledger.resources.database.read() as connection:
            return await make(connection)

    return Json(await ledger.kept.get(question, ledger.live.number, fresh))


_KINDS = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 503: "server_error"}


def install(app: FastAPI) -> None:
    """Tell failures in one shape, with the parameter named."""
    app.add_exception_handler(TollwayError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, TollwayError)  # noqa: S101 -- the handler is installed for this class alone
    body = error_body(error.message, _KINDS.get(error.status, "invalid_request_error"), error.error_code, error.param)
    headers = dict(error.headers)
    if error.retry_after is not None:
        headers["retry-after"] = f"{error.retry_after:g}"
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    return Json(body, status_code=error.status, headers=headers)


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 -- the same
    first: dict[str, Any] = dict(error.errors()[0])
    place = ".".join(str(part) for part in first["loc"][1:]) or None
    message = f"{place}: {first['msg']}" if place else str(first["msg"])
    return Json(error_body(message, "invalid_request_error", "unprocessable", place), status_code=422)


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 -- the same
    kind = _KINDS.get(error.status_code, "invalid_request_error")
    body = error_body(str(error.detail), kind, str(error.detail).lower().replace(" ", "_"), None)
    return Json(body, status_code=error.status_code, headers=error.headers)
