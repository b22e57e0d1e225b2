"""A stored conversation, from each dialect to the other, with everything that a later turn may need."""

from typing import Any

from shared.translate.anthropic_messages import to_anthropic_messages
from shared.translate.openai_messages import to_openai_messages
from shared.translate.terms import Losses, RequestOptions

# Thoughts are kept with their signatures, and nothing is refused that was once accepted.
_KEEPING = RequestOptions(
    takes_thinking_blocks=True,
    takes_reasoning_content=True,
    takes_late_system=True,
    takes_cache_breakpoints=True,
    takes_system_anywhere=True,
    wraps_invalid_arguments=True,
)


def messages_to_openai(messages: list[dict[str, Any]], system: Any = None) -> list[dict[str, Any]]:
    """An Anthropic conversation as chat messages."""
    return to_openai_messages(system, messages, _KEEPING, Losses()) if messages else []


def messages_to_anthropic(messages: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Chat messages as Anthropic's system blocks and messages."""
    return to_anthropic_messages(messages, _KEEPING, Losses(), is_request=False) if messages else ([], [])
