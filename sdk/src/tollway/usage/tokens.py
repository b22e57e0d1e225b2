"""How many tokens a call used, read from answers and stream events of the usual SDKs or their JSON."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

ENDS = ("message_stop", "response.completed", "response.incomplete")


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token counts of one call; None is unknown. Input includes cache reads and writes, output reasoning."""

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None
    whole: int | None = None  # what some tell without a split; it counts only where input and output are not known

    @classmethod
    def told(cls, entire: int | None, output: int | None, whole: int | None, **parts: int | None) -> "Tokens":
        """The counts as told; the one that is not told is what the total leaves of the other."""
        if whole is not None and (entire is None) != (output is None) and whole >= (entire or 0) + (output or 0):
            rest = whole - (entire or 0) - (output or 0)
            entire, output = (rest if entire is None else entire), (rest if output is None else output)
        return cls(entire, output, whole=whole, **parts)

    @property
    def total(self) -> int | None:
        if self.input is None and self.output is None:
            return self.whole
        return (self.input or 0) + (self.output or 0)


def count(value: object) -> int | None:
    """The value as a token count, or None when it is not one."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and value >= 0 else None


def field(thing: object, *names: str) -> Any:
    """A member of a mapping or an object, by the first name that is there and not None."""
    for name in names:
        value = thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)
        if value is not None:
            return value
    return None


class Meter:
    """Collects what one call's answer, or the events of its stream, tell about usage.

    `claim` may say no to the usage of an answer.
    """

    def __init__(self, claim: Callable[[object, object], bool] = lambda _answer, _usage: True) -> None:
        self.model: str | None = None
        self.finished = False
        self._claim = claim
        self._known: dict[str, int] = {}
        self._cache_is_extra = False

    def observe(self, item: object) -> None:
        """Takes a whole answer or one stream event; later figures replace earlier ones."""
        for part in (item, field(item, "message"), field(item, "response"), field(item, "chunk")):
            if part is None or isinstance(part, str | bytes):
                continue
            model = field(part, "model")
            if isinstance(model, str) and model:
                self.model = model
            usage = field(part, "usage")
            if usage is not None and self._claim(part, usage):
                self._read(usage)
            self.finished = self.finished or _ends(part)

    @property
    def tokens(self) -> Tokens:
        """What is known by now, in Tollway's terms."""
        known = self._known
        entire = known.get("input")
        read, write = known.get("cache_read"), known.get("cache_write")
        if entire is not None and self._cache_is_extra:
            entire += (read or 0) + (write or 0)
        parts = {"cache_read": read, "cache_write": write, "reasoning": known.get("reasoning")}
        return Tokens.told(entire, known.get("output"), known.get("whole"), **parts)

    def _read(self, usage: object) -> None:
        prompt = field(usage, "prompt_tokens_details", "input_tokens_details")
        answer = field(usage, "completion_tokens_details", "output_tokens_details")
        extra_read = count(field(usage, "cache_read_input_tokens"))
        extra_write = count(field(usage, "cache_creation_input_tokens"))
        inner_read, inner_write = count(field(prompt, "cached_tokens")), count(field(prompt, "cache_write_tokens"))
        # Anthropic counts cached input beside input_tokens, everybody else inside
        if extra_read is not None or extra_write is not None:
            self._cache_is_extra = True
        found = {
            "input": count(field(usage, "prompt_tokens", "input_tokens")),
            "output": count(field(usage, "completion_tokens", "output_tokens")),
            "cache_read": inner_read if extra_read is None else extra_read,
            "cache_write": inner_write if extra_write is None else extra_write,
            "reasoning": count(field(answer, "reasoning_tokens", "thinking_tokens")),
            # embeddings tell a prompt and a total and have no output at all; some tell nothing but a total
            "whole": count(field(usage, "total_tokens")),
        }
        self._known.update({name: value for name, value in found.items() if value is not None})


def _ends(item: object) -> bool:
    if field(item, "type") in ENDS or isinstance(field(item, "finish_reason"), str):
        return True
    choices = field(item, "choices")
    return isinstance(choices, list | tuple) and any(field(choice, "finish_reason") for choice in choices)
