"""What both clients share: where the server is, which key to show it, and how to read what it says."""

from typing import TypeVar

import httpx2
from pydantic import ValidationError

from tollway.client.ask import Ask
from tollway.client.shapes import JobEvent, ReportJob
from tollway.errors import ServerUnreachableError, TollwayError
from tollway.settings import DEFAULT_URL, read_settings

T = TypeVar("T")


def connection(base_url: str | None, api_key: str | None) -> tuple[str, dict[str, str]]:
    """The address and the headers; the environment's key goes only to the environment's address."""
    settings = read_settings()
    key = api_key or (settings.key if base_url is None or base_url.rstrip("/") == settings.url else None)
    url = (base_url or settings.url or DEFAULT_URL).rstrip("/")
    return url, {"authorization": f"Bearer {key}"} if key else {}


def own_path(base_url: httpx2.URL, path: str) -> str:
    """The path of a link the server gave; one to another host is refused, for our key would go there."""
    link = httpx2.URL(path)
    if link.is_relative_url:
        return path
    if (link.scheme, link.host, link.port) != (base_url.scheme, base_url.host, base_url.port):
        msg = f"the server points to another host: {link.host}"
        raise TollwayError(msg)
    return link.raw_path.decode()


def readable(request: Ask[T], body: bytes) -> T:
    """The answer as its type, or a clear error when it is something else."""
    try:
        return request.read(body)
    except ValidationError as error:
        msg = f"{request.path} answered in a shape that is not Tollway's: {error}"
        raise ServerUnreachableError(msg) from error


def job_event(request: Ask[ReportJob], event_id: str | None, data: str) -> JobEvent:
    """One server-sent event of a job."""
    return JobEvent(id=event_id or None, job=readable(request, data.encode()))
