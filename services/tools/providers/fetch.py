"""Reading a web page for a model: public addresses only, checked for every connection, never without end."""

import asyncio
import re
from collections.abc import Iterator
from html import unescape
from urllib.parse import urljoin

from services.tools.errors import ToolFailed
from services.tools.providers.base import Outcome
from shared.config.tools import Tools
from shared.http_client import HttpClient, HttpError, Response, Timeout, read_capped
from shared.security import AddressRefused, check_url, checked_addresses

MAX_REDIRECTS = 5
MAX_BODY_BYTES = 4 << 20
SECONDS = 20.0
REFUSED = "this address is refused: only public http and https addresses are read"
_HEADERS = {
    "user-agent": "tollway-fetch/1",
    "accept": "text/html,application/json,text/*;q=0.9,*/*;q=0.5",
    "accept-encoding": "identity",
}
_TAG_START = re.compile(r"<(?=/?[a-z]|!)", re.IGNORECASE)  # any other < is a sign
_TAG_NAME = re.compile(r"/?[a-z][a-z0-9]{0,20}", re.IGNORECASE)
_DROPPED = {
    name: re.compile(rf"</{name}\b", re.IGNORECASE) for name in ("script", "style", "noscript", "template", "svg")
}
_BREAKS = frozenset({"br", "/p", "/div", "/li", "/tr", "/h1", "/h2", "/h3", "/h4", "/h5", "/h6"})
_TEXTUAL = (
    "text/",
    "application/json",
    "application/xml",
    "application/xhtml",
    "application/javascript",
    "application/x-ndjson",
)


async def fetch_url(url: str, max_characters: int, http: HttpClient, config: Tools) -> Outcome:
    """The text at a URL; raises ToolFailed with the same words for every refused address."""
    try:
        async with asyncio.timeout(SECONDS):
            return await _follow(url, max_characters, http, config)
    except TimeoutError as error:
        raise ToolFailed(f"no answer within {SECONDS:.0f} s", code="timeout") from error
    except AddressRefused as error:
        raise ToolFailed(REFUSED, code="address_refused") from error
    except (HttpError, OSError) as error:
        if isinstance(error.__cause__, AddressRefused) or _refused_within(error):
            raise ToolFailed(REFUSED, code="address_refused") from error
        raise ToolFailed(f"the address could not be read: {type(error).__name__}") from error


async def _follow(url: str, max_characters: int, http: HttpClient, config: Tools) -> Outcome:
    session = http.guarded(allow_private=config.allow_private_fetch, allow_hosts=config.allow_fetch_hosts)
    for _ in range(MAX_REDIRECTS + 1):
        host, port = check_url(url)
        await checked_addresses(
            host, port, allow_private=config.allow_private_fetch, allow_hosts=config.allow_fetch_hosts
        )
        async with session.get(
            url, headers=_HEADERS, allow_redirects=False, timeout=Timeout(total=SECONDS)
        ) as response:
            location = response.headers.get("location")
            if response.status in (301, 302, 303, 307, 308) and location:
                url = urljoin(url, location)
                continue
            return await _read(response, url, max_characters)
    raise ToolFailed(f"more than {MAX_REDIRECTS} redirects")


async def _read(response: Response, url: str, max_characters: int) -> Outcome:
    kind = response.headers.get("content-type", "text/plain").lower()
    if not kind.startswith(_TEXTUAL):
        raise ToolFailed(f"{url} is {kind.split(';')[0]}, which is not text")
    try:
        body = await read_capped(response, MAX_BODY_BYTES, seconds=SECONDS)
    except ValueError as error:
        raise ToolFailed(str(error)) from error
    text = body.decode(response.charset or "utf-8", "replace")
    if "html" in kind:
        text = await asyncio.to_thread(page_text, text)
    if len(text) > max_characters:
        text = f"{text[:max_characters]}\n… [{len(text) - max_characters} characters left out]"
    return Outcome(f"{url} answered {response.status}\n\n{text}", is_error=response.status >= 400)


def _refused_within(error: BaseException) -> bool:
    seen: BaseException | None = error
    for _ in range(6):
        if seen is None:
            return False
        if isinstance(seen, AddressRefused):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def page_text(page: str) -> str:
    """The readable text of an HTML page."""
    lines = (" ".join(line.split()) for line in unescape("".join(_pieces(page))).splitlines())
    return "\n".join(line for line in lines if line)


def _pieces(page: str) -> Iterator[str]:
    """The text between the tags. Goes over the page once, whatever the page is: it may be made to keep us busy."""
    position = 0
    while (found := _TAG_START.search(page, position)) is not None:
        start = found.start()
        yield page[position:start]
        if page.startswith("<!--", start):
            end = page.find("-->", start + 4)
            position = end + 3 if end >= 0 else len(page)
            continue
        name = _TAG_NAME.match(page, start + 1)
        end = page.find(">", start)
        if end < 0:
            return
        kind = name[0].lower() if name is not None else ""
        position = _after(page, kind, end + 1)
        yield "\n" if kind in _BREAKS else " "
    yield page[position:]


def _after(page: str, kind: str, position: int) -> int:
    """Where the text goes on behind a tag: elements that hold none are left out."""
    if kind not in _DROPPED:
        return position
    closing = _DROPPED[kind].search(page, position)
    return closing.start() if closing is not None else len(page)
