"""Looking into decoded JSON of which nothing is certain: what is not of the right kind is not there."""

from typing import Any


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; empty for anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def an_object(value: Any) -> dict[str, Any]:
    """The object, or an empty one."""
    return value if isinstance(value, dict) else {}


def text(value: Any) -> str:
    """The text, or an empty one."""
    return value if isinstance(value, str) else ""


def part_text(value: Any) -> str:
    """The text of a part's member, which some providers give as parts again."""
    if isinstance(value, list):
        return "".join(text(piece.get("text")) for piece in objects(value))
    return text(value)
