"""Marks of where a prompt's reusable beginning ends, in both dialects."""

from typing import Any

from shared.translate.terms import Losses, RequestOptions

MOST_MARKS = 4


def cache_control(part: dict[str, Any], losses: Losses) -> dict[str, Any] | None:
    """The Anthropic mark of an OpenAI part; its lifetimes are shorter or longer than what was asked for."""
    if isinstance(own := part.get("cache_control"), dict):
        return own
    breakpoint_ = part.get("prompt_cache_breakpoint")
    if not isinstance(breakpoint_, dict):
        return None
    if breakpoint_.get("ttl") == "12h":
        losses.add("prompt_cache_breakpoint.ttl")
    return {"type": "ephemeral", "ttl": "1h"}


def cache_breakpoint(block: dict[str, Any], options: RequestOptions, losses: Losses) -> dict[str, Any]:
    """The members that an Anthropic block's mark becomes on an OpenAI part: one, or none."""
    if not isinstance(block.get("cache_control"), dict):
        return {}
    if not options.takes_cache_breakpoints:
        losses.add("cache_control")
        return {}
    return {"prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"}}


def keep_latest_marks(blocks: list[dict[str, Any]], losses: Losses) -> None:
    """Takes the earliest marks away when there are more than Anthropic allows."""
    marked = [block for block in blocks if "cache_control" in block]
    for block in marked[:-MOST_MARKS]:
        del block["cache_control"]
        losses.add("cache_control")
