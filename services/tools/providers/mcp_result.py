"""What an MCP server answered, as text a model can read; what is not text is told, not lost in silence."""

from typing import Any

import msgspec

from services.tools.providers.base import Outcome


def outcome_of(result: Any, most_bytes: int) -> Outcome:
    """The answer of `tools/call`."""
    parts = [_text(part) for part in result.content]
    if not parts and result.structured_content is not None:
        parts = [msgspec.json.encode(result.structured_content).decode()]
    text = "\n".join(part for part in parts if part)
    # The worker cuts to the exact cap; this only keeps a flood from being copied around.
    return Outcome(text[: most_bytes * 2] if len(text) > most_bytes * 2 else text, is_error=bool(result.is_error))


def _text(part: Any) -> str:
    kind = part.type
    if kind == "text":
        return str(part.text)
    if kind in ("image", "audio"):
        return f"[{kind} {part.mime_type}, {len(part.data) * 3 // 4} bytes]"
    if kind == "resource":
        inner = part.resource
        text = getattr(inner, "text", None)
        return text if isinstance(text, str) else f"[resource {inner.uri}]"
    if kind == "resource_link":
        return f"[resource {part.uri}]"
    return f"[{kind}]"
