"""Images and documents inside messages, from one dialect's parts to the other's blocks."""

import base64
import binascii
from typing import Any

from shared.translate.terms import CannotTranslate, Losses, wanted_objects, wanted_text

_IMAGE_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
_IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_PDF = "application/pdf"


def image_block(part: dict[str, Any], where: str, losses: Losses) -> dict[str, Any]:
    """An `image_url` part as an image block; a data URL's type is corrected by what the bytes say."""
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, dict) else image
    if not isinstance(url, str) or not url:
        raise CannotTranslate(where, "an image needs a url")
    if isinstance(image, dict) and image.get("detail") not in (None, "auto"):
        losses.add("image_url.detail")
    if url.startswith(("https://", "http://")):
        return {"type": "image", "source": {"type": "url", "url": url}}
    declared, data = _data_url(url, where)
    media_type = _image_type(data, where) or declared.replace("image/jpg", "image/jpeg")
    if media_type not in _IMAGE_TYPES:
        raise CannotTranslate(where, f"images of type {media_type or 'unknown'} are not supported")
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}


def image_part(block: dict[str, Any], where: str) -> dict[str, Any]:
    """An image block as an `image_url` part."""
    source = _source(block)
    if source.get("type") == "url":
        return {"type": "image_url", "image_url": {"url": source.get("url")}}
    if source.get("type") == "base64":
        url = f"data:{source.get('media_type')};base64,{source.get('data')}"
        return {"type": "image_url", "image_url": {"url": url}}
    raise CannotTranslate(where, f"images by {source.get('type')} cannot be sent to this model's provider")


def document_block(part: dict[str, Any], where: str) -> dict[str, Any]:
    """A `file` part as a document block."""
    file = part.get("file")
    file = file if isinstance(file, dict) else {}
    content, name = file.get("file_data"), file.get("filename")
    if not isinstance(content, str) or not content:
        raise CannotTranslate(where, "files can be sent to this model's provider by content only, not by id")
    declared, data = _data_url(content, where) if content.startswith("data:") else (_PDF, content)
    source: dict[str, Any]
    if declared.startswith("text/"):
        text = _decoded(data, where).decode("utf-8", "replace")
        source = {"type": "text", "media_type": "text/plain", "data": text}
    elif _head(data, where).startswith(b"%PDF") or declared == _PDF:
        source = {"type": "base64", "media_type": _PDF, "data": data}
    else:
        raise CannotTranslate(where, f"files of type {declared} are not supported")
    block: dict[str, Any] = {"type": "document", "source": source}
    if isinstance(name, str) and name:
        block["title"] = name
    return block


def document_parts(block: dict[str, Any], where: str, losses: Losses) -> list[dict[str, Any]]:
    """A document block as parts: a PDF as a file, text as text."""
    source, title = _source(block), block.get("title")
    for key in ("context", "citations"):
        if block.get(key):
            losses.add(f"document.{key}")
    kind = source.get("type")
    if kind == "base64":
        media_type = source.get("media_type") or _PDF
        name = title if isinstance(title, str) and title else "document.pdf"
        return [
            {"type": "file", "file": {"filename": name, "file_data": f"data:{media_type};base64,{source.get('data')}"}}
        ]
    if kind == "text":
        text = str(source.get("data") or "")
        return [{"type": "text", "text": f"{title}\n\n{text}" if title else text}]
    if kind == "content":
        content = source.get("content")
        inner = [{"type": "text", "text": content}] if isinstance(content, str) else wanted_objects(content, where)
        return [
            image_part(item, where)
            if item.get("type") == "image"
            else {"type": "text", "text": wanted_text(item.get("text"), where)}
            for item in inner
        ]
    raise CannotTranslate(where, f"documents by {kind} cannot be sent to this model's provider")


def _source(block: dict[str, Any]) -> dict[str, Any]:
    source = block.get("source")
    return source if isinstance(source, dict) else {}


def _data_url(url: str, where: str) -> tuple[str, str]:
    """The declared media type and the base64 text of a data URL."""
    comma = url.find(",", 0, 512)
    head = url[5:comma].lower() if url.startswith("data:") and comma > 0 else ""
    if not head.endswith(";base64"):
        raise CannotTranslate(where, "only https URLs and base64 data URLs are supported")
    return head.split(";", 1)[0], url[comma + 1 :].strip()


def _head(data: str, where: str) -> bytes:
    return _decoded(data[:64], where)


def _decoded(data: str, where: str) -> bytes:
    try:
        return base64.b64decode(data + "=" * (-len(data) % 4))
    except (binascii.Error, ValueError) as error:
        raise CannotTranslate(where, "the base64 data cannot be decoded") from error


def _image_type(data: str, where: str) -> str | None:
    head = _head(data, where)
    for signature, media_type in _IMAGE_SIGNATURES:
        if head.startswith(signature):
            return media_type
    return "image/webp" if head[:4] == b"RIFF" and head[8:12] == b"WEBP" else None
