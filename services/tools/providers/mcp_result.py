"""What an MCP server answered: text a model can read, pictures it can look at, and a word on what is neither."""

from typing import Any

import msgspec

from services.tools.providers.base import Outcome
from shared.wire.tool_call import ToolImage

MOST_IMAGES = 8
SEEN_BY_MODELS = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


def outcome_of(result: Any, most_bytes: int) -> Outcome:
    """The answer of `tools/call`. Pictures stay within the bound for results; one that does not fit is named."""
    album = _Album(0 if result.is_error else MOST_IMAGES, most_bytes)
    parts = [_text(part, album) for part in result.content]
    if not parts and result.structured_content is not None:
        parts = [msgspec.json.encode(result.structured_content).decode()]
    text = "\n".join(part for part in parts if part)
    # The worker cuts to the exact cap; this only keeps a flood from being copied around.
    shown = text[: most_bytes * 2] if len(text) > most_bytes * 2 else text
    return Outcome(shown, is_error=bool(result.is_error), images=tuple(album.images))


class _Album:
    """The pictures of one result, within bounds. A result that tells of an error has none: providers refuse it."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self.images: list[ToolImage] = []
        self._most = most
        self._left = most_bytes

    def put(self, media_type: str, data: str) -> str:
        """Take a picture if it can be shown; returns how the text speaks of it."""
        told = f"{media_type}, {len(data) * 3 // 4} bytes"
        kind = media_type.split(";")[0].strip().lower()
        if kind not in SEEN_BY_MODELS:
            return f"[image {told}: left out, models see PNG, JPEG, GIF and WebP only]"
        if len(self.images) >= self._most:
            return f"[image {told}: left out, this result may have {self._most} images]"
        if len(data) > self._left:
            return f"[image {told}: left out, too large for a result]"
        self._left -= len(data)
        self.images.append(ToolImage(kind, data))
        return f"[image {len(self.images)}: {told}]"


def _text(part: Any, album: _Album) -> str:
    kind = part.type
    if kind == "text":
        return str(part.text)
    if kind == "image":
        return album.put(str(part.mime_type), part.data)
    if kind == "audio":
        return f"[audio {part.mime_type}, {len(part.data) * 3 // 4} bytes: left out, models cannot be given sound here]"
    if kind == "resource":
        return _resource(part.resource, album)
    if kind == "resource_link":
        return f"[resource {part.uri}]"
    return f"[{kind}]"


def _resource(resource: Any, album: _Album) -> str:
    text, blob = getattr(resource, "text", None), getattr(resource, "blob", None)
    if isinstance(text, str):
        return text
    media_type = str(resource.mime_type or "")
    if isinstance(blob, str) and media_type.startswith("image/"):
        return f"[resource {resource.uri}] {album.put(media_type, blob)}"
    return f"[resource {resource.uri} {media_type}]".replace(" ]", "]")
