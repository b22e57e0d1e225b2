"""The dashboard's files, with headers under which a browser runs nothing but them."""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

PAGE = "/static/ai_usage_monitor.html"
HEADERS = {
    "content-security-policy": (
        "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cache-control": "no-cache",
}
_LEAST_COMPRESSED = 1024

router = APIRouter(include_in_schema=False)


@router.get("/")
async def home() -> Response:
    """The dashboard is what a browser wants here."""
    return RedirectResponse(PAGE, status_code=307)


@dataclass(frozen=True)
class _File:
    """A file as it travels: its bytes, the same compressed once, and a tag that changes with them."""

    modified_ns: int
    plain: bytes
    packed: bytes | None
    headers: dict[str, str]


def files(folder: Path) -> ASGIApp:
    """The folder; a first view asks for some forty of its files, so none is read or compressed twice."""
    return Files(folder)


class Files:
    """A folder of files under strict headers; only what lay in it at the start can be asked for."""

    def __init__(self, folder: Path) -> None:
        self._paths = {"/" + path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        self._kept = {path: _read(path) for path in self._paths.values()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A file, or 304, 404 and 405 under the same headers."""
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(405, headers={**HEADERS, "allow": "GET, HEAD"})
        path = self._paths.get(scope["path"].removeprefix(scope.get("root_path", "")))
        if path is None or not path.is_file():
            raise HTTPException(404, headers=HEADERS)
        response = _answer(self._fresh(path), Headers(scope=scope))
        await response(scope, receive, send)

    def _fresh(self, path: Path) -> _File:
        """The file as it is on the disk now: somebody who works on the page reloads and sees it."""
        found = self._kept[path]
        if found.modified_ns != path.stat().st_mtime_ns:
            found = self._kept[path] = _read(path)
        return found


def _read(path: Path) -> _File:
    plain = path.read_bytes()
    packed = gzip.compress(plain, compresslevel=9, mtime=0) if len(plain) >= _LEAST_COMPRESSED else None
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    headers = {
        **HEADERS,
        "content-type": f"{kind}; charset=utf-8" if kind.startswith("text/") else kind,
        "etag": f'W/"{hashlib.sha256(plain).hexdigest()[:24]}"',
        "vary": "accept-encoding",
    }
    return _File(path.stat().st_mtime_ns, plain, packed, headers)


def _answer(found: _File, asked: Headers) -> Response:
    known = [one.strip() for one in asked.get("if-none-match", "").split(",")]
    if found.headers["etag"] in known or "*" in known:
        return Response(status_code=304, headers=found.headers)
    if found.packed and "gzip" in asked.get("accept-encoding", ""):
        return Response(found.packed, headers={**found.headers, "content-encoding": "gzip"})
    return Response(found.plain, headers=found.headers)
