"""The HTTP edge: bodies and headers in, one call of the desk, the job or its artefact out."""

import asyncio
import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, NoReturn

import msgspec
from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response, StreamingResponse

from services.reports.artifacts import CONTENT_TYPES
from services.reports.desk import Desk
from services.reports.errors import BodyTooLarge, FieldInvalid
from services.reports.job import STAGES, STATUSES, Job, filename, shown
from services.reports.progress import follow, until_moved
from services.reports.request import schema
from shared.errors import BadRequest, TollwayError, UnsupportedEncoding
from shared.ids import is_uuid
from shared.wire.nesting import MAX_DEPTH, too_deep

router = APIRouter(prefix="/v1/reports")
BODY = {"application/json": {"schema": schema()}}
BODY_BYTES = 256 * 1024
KEY_CHARACTERS = 255
# The page brings its own policy; this one holds even for a browser that opens it as its origin.
PAGE_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
)
_KINDS = {401: "authentication_error", 403: "permission_error", 404: "not_found_error"}


class Json(Response):
    """A JSON answer, encoded by msgspec."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return msgspec.json.encode(content)


def desk_of(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


@router.post("", status_code=202, openapi_extra={"requestBody": {"required": True, "content": BODY}})
async def create(request: Request) -> Response:
    """Queue a report. The same Idempotency-Key with the same body is the same job."""
    desk = desk_of(request)
    caller = desk.door.identify(request.headers)
    key = request.headers.get("idempotency-key")
    if key is not None and not 1 <= len(key) <= KEY_CHARACTERS:
        raise FieldInvalid(f"Idempotency-Key has 1 to {KEY_CHARACTERS} characters", param="Idempotency-Key")
    job, secret = await desk.accept(caller, await read_json(request), key)
    headers = {"location": f"/v1/reports/{job.id}", "retry-after": "2"}
    body = shown(job) | ({"webhook_secret": secret} if secret else {})
    return Json(body, status_code=202, headers=headers)


@router.get("")
async def listed(
    request: Request,
    status: str | None = None,
    kind: Annotated[str | None, Query(alias="type")] = None,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Response:
    """The caller's jobs, newest first."""
    desk = desk_of(request)
    caller = desk.door.identify(request.headers)
    if status is not None and status not in STATUSES:
        raise FieldInvalid(f"status: one of {', '.join(STATUSES)}", param="status")
    if kind is not None and kind not in STAGES:
        raise FieldInvalid(f"type: one of {', '.join(STAGES)}", param="type")
    if cursor is not None and not is_uuid(cursor):
        raise FieldInvalid("cursor: the next_cursor of an earlier page", param="cursor")
    found = await desk.jobs.listed(caller.sees, status, kind, cursor, limit + 1)
    page = found[:limit]
    following = page[-1].id if len(found) > limit else None
    return Json({"object": "list", "data": [shown(job) for job in page], "next_cursor": following})


@router.head("/{job_id}", include_in_schema=False)
@router.get("/{job_id}")
async def read(request: Request, job_id: str, wait: Annotated[float, Query(ge=0, le=60)] = 0) -> Response:
    """One job; `wait` holds the answer until it ends, so many seconds at most."""
    desk = desk_of(request)
    job = await _own(request, job_id)
    if wait and not job.is_terminal:
        await until_moved(desk.jobs, desk.bell, job.id, wait, desk.draining)
        job = await _own(request, job_id)
    answer = Json(shown(job))
    etag = f'"{sha256(answer.body).hexdigest()[:32]}"'
    headers = {"etag": etag, "cache-control": "no-cache"}
    if not job.is_terminal:
        headers["retry-after"] = "2"
    if _has(request, etag):
        return Response(status_code=304, headers=headers)
    answer.headers.update(headers)
    return answer


@router.get("/{job_id}/events")
async def events(request: Request, job_id: str) -> Response:
    """The job as it goes, as server-sent events; `Last-Event-ID` resumes."""
    desk = desk_of(request)
    job = await _own(request, job_id)
    last = request.headers.get("last-event-id", request.query_params.get("last_event_id", "")).strip()
    after = int(last) if last.isascii() and last.isdigit() and len(last) <= 9 else 0
    # A number that was never told is no place to resume at.
    after = after if after <= job.sequence else 0
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    frames = follow(desk.jobs, desk.bell, job.id, after, desk.draining)
    return StreamingResponse(frames, media_type="text/event-stream", headers=headers)


@router.head("/{job_id}/artifact.{form}", include_in_schema=False)
@router.get("/{job_id}/artifact.{form}")
async def artifact(request: Request, job_id: str, form: str) -> Response:
    """A finished file; ranges and a strong ETag."""
    job = await _own(request, job_id)
    found, path = await desk_of(request).artifact(job, form)
    return _file(request, job, found, path)


@router.head("/{job_id}/evidence.zip", include_in_schema=False)
@router.get("/{job_id}/evidence.zip")
async def evidence(request: Request, job_id: str) -> Response:
    """What the report can be made again from, with `tollway report --from-evidence`; for its owner alone."""
    job = await _own(request, job_id)
    found, path = await desk_of(request).evidence(job)
    return _file(request, job, found, path)


def _file(request: Request, job: Job, found: dict[str, Any], path: Path) -> Response:
    form: str = found["format"]
    etag = f'"{found["sha256"]}"'
    headers = {
        "etag": etag,
        "cache-control": "private, max-age=0, must-revalidate",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
    }
    if form == "html":
        # Only there: a browser's own viewer of PDF does not start in a sandbox.
        headers["content-security-policy"] = PAGE_POLICY
    if _has(request, etag):
        return Response(status_code=304, headers=headers)
    return FileResponse(
        path,
        headers=headers,
        media_type=CONTENT_TYPES[form],
        filename=filename(job.request, form),
        content_disposition_type="inline" if form in ("html", "pdf", "png") else "attachment",
    )


@router.post("/{job_id}/cancel")
async def cancel(request: Request, job_id: str) -> Response:
    """Stop a job; doing it again, or to a finished one, changes nothing."""
    job = await _own(request, job_id)
    return Json(shown(await desk_of(request).cancel(job)))


@router.delete("/{job_id}", status_code=204)
async def delete(request: Request, job_id: str) -> Response:
    """Remove a job with its artefacts; a running one is cancelled first."""
    job = await _own(request, job_id)
    await desk_of(request).remove(job)
    return Response(status_code=204)


def _has(request: Request, etag: str) -> bool:
    """Whether the client has this version already."""
    told = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    return etag in told or "*" in told


async def _own(request: Request, job_id: str) -> Job:
    desk = desk_of(request)
    return await desk.find(desk.door.identify(request.headers), job_id)


async def read_json(request: Request) -> Any:
    """The body as JSON: whole, bounded, plain, in valid UTF-8."""
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("identity", ""):
        raise UnsupportedEncoding
    body = bytearray()
    async with asyncio.timeout(60):
        async for chunk in request.stream():
            body += chunk
            if len(body) > BODY_BYTES:
                raise BodyTooLarge
    return parse(bytes(body))


def parse(body: bytes) -> Any:
    """Strict JSON: no doubled names, no NaN, no lone surrogates; raises BadRequest."""
    try:
        if too_deep(body):
            raise BadRequest(f"The body is nested deeper than {MAX_DEPTH} levels.", param="body", code="invalid_json")
        msgspec.json.decode(body)
        return json.loads(body, object_pairs_hook=_unique, parse_constant=_refuse)
    except BadRequest:
        raise
    except (ValueError, RecursionError) as error:
        raise BadRequest("The body is not valid JSON.", param="body", code="invalid_json") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise BadRequest(f"{name[:60]} is there twice.", param=name[:60], code="invalid_json")
        found[name] = value
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def install(app: FastAPI) -> None:
    """Tell failures in one shape, with the field named."""
    app.add_exception_handler(TollwayError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.include_router(router)


def error_body(message: str, kind: str, code: str, param: str | None) -> Mapping[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, TollwayError)  # noqa: S101 -- the handler is installed for this class alone
    headers = dict(error.headers)
    if error.retry_after is not None:
        headers["retry-after"] = f"{error.retry_after:g}"
    kind = _KINDS.get(error.status, "invalid_request_error" if error.status < 500 else "server_error")
    return Json(
        error_body(error.message, kind, error.error_code, error.param),
        status_code=error.status,
        headers=headers,
    )


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 -- the same
    first: dict[str, Any] = dict(error.errors()[0])
    place = ".".join(str(part) for part in first["loc"][1:]) or None
    body = error_body(f"{place}: {first['msg']}", "invalid_request_error", "unprocessable", place)
    return Json(body, status_code=422)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 -- the same
    kind = _KINDS.get(error.status_code, "invalid_request_error")
    code = str(error.detail).lower().replace(" ", "_")
    headers = {**(error.headers or {}), **_allowed(request, error.status_code)}
    return Json(error_body(str(error.detail), kind, code, None), status_code=error.status_code, headers=headers)


def _allowed(request: Request, status: int) -> dict[str, str]:
    """Every method the address knows; the framework names those of one route alone."""
    if status != 405:
        return {}
    methods = {
        method
        for route in router.routes
        if isinstance(route, APIRoute) and route.path_regex.match(request.url.path)
        for method in route.methods or ()
    }
    return {"allow": ", ".join(sorted(methods))}
