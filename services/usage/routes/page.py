"""The dashboard's files, with headers under which a browser runs nothing but them."""

from pathlib import Path

from fastapi import APIRouter
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

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

router = APIRouter(include_in_schema=False)


@router.get("/")
async def home() -> Response:
    """The dashboard is what a browser wants here."""
    return RedirectResponse(PAGE, status_code=307)


def files(folder: Path) -> ASGIApp:
    """The folder, compressed for those who can read it so."""
    return GZipMiddleware(Files(folder), minimum_size=1024, compresslevel=6)


class Files(StaticFiles):
    """A folder of files under strict headers."""

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder, check_dir=False)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """A file, or 404 under the same headers."""
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        return response
