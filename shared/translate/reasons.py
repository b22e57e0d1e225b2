"""Why an answer ended, from one dialect's words to the other's."""

from typing import Final

_TO_OPENAI: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}
_TO_ANTHROPIC: Final = {
    "stop": "end_turn",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "length": "max_tokens",
    "content_filter": "refusal",
}


def finish_reason(stop_reason: object, *, has_calls: bool) -> str:
    """OpenAI's word. An answer that calls a tool has ended for that, whatever was said."""
    word = _TO_OPENAI.get(stop_reason, "stop") if isinstance(stop_reason, str) else "stop"
    if has_calls and word == "stop":
        return "tool_calls"
    return "stop" if word == "tool_calls" and not has_calls else word


def stop_reason(finish: object, *, has_calls: bool) -> str:
    """Anthropic's word. An answer that calls a tool has ended for that, whatever was said."""
    word = _TO_ANTHROPIC.get(finish, "end_turn") if isinstance(finish, str) else "end_turn"
    if has_calls and word == "end_turn":
        return "tool_use"
    return "end_turn" if word == "tool_use" and not has_calls else word
