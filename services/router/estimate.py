"""How many tokens a text has, offline: a count by characters, and a tokenizer that is loaded when somebody needs it.

The tokenizer costs 67 MB and a tenth of a second, so it is loaded in a thread on first use and never at start;
until it is there, and for texts too long to be worth it, the count by characters stands in.
"""

import asyncio
import importlib.machinery
import importlib.util
from pathlib import Path
from typing import Any

from shared.wire.json_text import NotJsonError, decode

ENCODING = "o200k_base"
_LONGEST_EXACT = 200_000
_LARGEST_READ = 1 << 20
_PER_MESSAGE = 4
_PER_IMAGE = 800
_MEDIA = frozenset({"image_url", "image", "input_audio", "file", "document"})
_OWN_WORDS = frozenset({"type", "role", "cache_control", "id", "tool_call_id", "tool_use_id"})


def by_characters(text: str) -> int:
    """Four ASCII characters make a token; a character of three or more bytes makes one itself."""
    if text.isascii():
        return (len(text) + 3) // 4
    wide = (len(text.encode("utf-8", "replace")) - len(text)) // 2
    return (max(0, len(text) - wide) + 3) // 4 + wide


def by_size(body: bytes) -> int:
    """A first guess at a request's input, from its size alone: for the log that a crash is closed from."""
    media = body.count(b";base64,") + body.count(b'"base64"')
    size = len(body) if not media else min(len(body), 4096)
    return max(1, size // 4) + media * _PER_IMAGE


class Tokenizer:
    """Counts with the real vocabulary once it is loaded."""

    def __init__(self) -> None:
        self._native: Any = None
        self._loading = asyncio.Lock()

    async def load(self) -> None:
        """Have the vocabulary ready."""
        async with self._loading:
            if self._native is None:
                self._native = await asyncio.to_thread(_load_native)

    async def count_request(self, body: bytes) -> int:
        """The input tokens of a request, exactly as far as its text goes."""
        await self.load()
        return await asyncio.to_thread(self.of_request, body)

    def of_request(self, body: bytes) -> int:
        """The input tokens of a request in either dialect; what is no text is charged at a flat rate."""
        if len(body) > _LARGEST_READ:
            return by_size(body)
        try:
            request = decode(body)
        except NotJsonError:
            return by_size(body)
        if not isinstance(request, dict):
            return by_size(body)
        texts: list[str] = []
        media = 0
        for name in ("system", "messages", "tools", "functions", "input"):
            if name in request:
                media += _collect(request[name], texts)
        messages = request.get("messages")
        count = len(messages) if isinstance(messages, list) else 0
        return max(1, self.of_text("\n".join(texts)) + count * _PER_MESSAGE + media * _PER_IMAGE)

    def of_text(self, text: str) -> int:
        """The tokens of a text."""
        if self._native is None or len(text) > _LONGEST_EXACT:
            return by_characters(text)
        return int(self._native.count(text))


def _load_native() -> Any:
    """The compiled tokenizer alone: the package around it would build the same tables once more in Python."""
    package = importlib.util.find_spec("bpe_openai")
    folders = package.submodule_search_locations if package is not None else None
    path = next((path for folder in folders or () for path in Path(folder).glob("_bindings*.so")), None)
    if path is None:
        raise ModuleNotFoundError("bpe_openai is not installed", name="bpe_openai")
    loader = importlib.machinery.ExtensionFileLoader("_bindings", str(path))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None  # noqa: S101 -- a loader was given
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module.tokenizer_for_encoding(ENCODING)


def _collect(value: Any, texts: list[str]) -> int:
    """Gather every text below a value; returns how many images and files were met. Iterative: bodies may nest deep."""
    media, stack = 0, [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            texts.append(item)
        elif isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, dict):
            kind = item.get("type")
            if isinstance(kind, str) and kind in _MEDIA:  # in a schema it may be a list
                media += 1
                continue
            stack.extend(inner for name, inner in item.items() if name not in _OWN_WORDS)
    return media
