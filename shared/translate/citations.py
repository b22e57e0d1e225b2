"""What a text block of Anthropic's cites, as the annotations of a chat message."""

from collections.abc import Iterable
from typing import Any

Json = dict[str, Any]


def annotations_of(citations: Iterable[Json], start: int, end: int) -> list[Json]:
    """The cited web pages; each covers the whole block it belongs to, for Anthropic gives no offsets in the text."""
    place = {"start_index": start, "end_index": end}
    return [
        {
            "type": "url_citation",
            "url_citation": {"url": citation["url"], "title": citation.get("title") or "", **place},
        }
        for citation in citations
        if citation.get("url")
    ]
