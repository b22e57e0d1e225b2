"""What a provider says an answer used, in one shape for both dialects."""

from typing import Any

import msgspec


class TokenUsage(msgspec.Struct, frozen=True):
    """Tokens by bucket; None is "not told", which is never written as 0.

    Input includes cache reads and writes, output includes reasoning, whatever the provider's convention is.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None

    @property
    def total_tokens(self) -> int | None:
        """Input and output together; None when neither was told."""
        if self.input_tokens is None and self.output_tokens is None:
            return None
        return (self.input_tokens or 0) + (self.output_tokens or 0)

    @property
    def is_told(self) -> bool:
        """Whether the provider told anything at all."""
        return self.total_tokens is not None

    @property
    def fresh_input_tokens(self) -> int | None:
        """Input that was neither read from nor written to a cache: Anthropic's `input_tokens`."""
        if self.input_tokens is None:
            return None
        return max(0, self.input_tokens - (self.cache_read_tokens or 0) - (self.cache_write_tokens or 0))

    def merge(self, other: "TokenUsage") -> "TokenUsage":
        """The field-wise maximum: frames of one stream report cumulative or partial counts."""
        if other is NOTHING_TOLD or other == self:
            return self
        return _consistent(
            _most(self.input_tokens, other.input_tokens),
            _most(self.output_tokens, other.output_tokens),
            _most(self.cache_read_tokens, other.cache_read_tokens),
            _most(self.cache_write_tokens, other.cache_write_tokens),
            _most(self.reasoning_tokens, other.reasoning_tokens),
        )

    def plus(self, other: "TokenUsage") -> "TokenUsage":
        """The sum: what several answers used together."""
        return TokenUsage(
            _sum(self.input_tokens, other.input_tokens),
            _sum(self.output_tokens, other.output_tokens),
            _sum(self.cache_read_tokens, other.cache_read_tokens),
            _sum(self.cache_write_tokens, other.cache_write_tokens),
            _sum(self.reasoning_tokens, other.reasoning_tokens),
        )

    @classmethod
    def from_openai(cls, usage: object) -> "TokenUsage":
        """The usage object of a chat completion, its chunk or an embedding."""
        if not isinstance(usage, dict):
            return NOTHING_TOLD
        prompt = _count(usage, "prompt_tokens", "input_tokens")
        output = _count(usage, "completion_tokens", "output_tokens")
        if not prompt and not output:
            return NOTHING_TOLD
        inside_prompt = _details(usage, "prompt_tokens_details", "input_tokens_details")
        inside_output = _details(usage, "completion_tokens_details", "output_tokens_details")
        read = _count(inside_prompt, "cached_tokens")
        if read is None:
            read = _count(usage, "prompt_cache_hit_tokens")
        write = _count(inside_prompt, "cache_write_tokens", "cache_creation_tokens")
        reasoning = _count(inside_output, "reasoning_tokens")
        total = _count(usage, "total_tokens")
        if output is None and total == prompt:
            output = 0  # an embedding: the total tells that there was no output
        if reasoning and output is not None and total == (prompt or 0) + output + reasoning:
            # Some providers count reasoning beside the completion; their total gives them away.
            output += reasoning
        return _consistent(prompt or None, output, read, write, reasoning)

    @classmethod
    def from_anthropic(cls, usage: object) -> "TokenUsage":
        """The usage object of a message, of `message_start` or of `message_delta`."""
        if not isinstance(usage, dict):
            return NOTHING_TOLD
        fresh = _count(usage, "input_tokens")
        read = _count(usage, "cache_read_input_tokens")
        write = _count(usage, "cache_creation_input_tokens")
        if write is None:
            by_lifetime = _details(usage, "cache_creation")
            write = _sum(
                _count(by_lifetime, "ephemeral_5m_input_tokens"),
                _count(by_lifetime, "ephemeral_1h_input_tokens"),
            )
        # A frame that repeats only the cache counts does not tell the input.
        total = None if fresh is None else fresh + (read or 0) + (write or 0)
        reasoning = _count(_details(usage, "output_tokens_details"), "thinking_tokens")
        output = _count(usage, "output_tokens")
        if not total and not output and not read and not write:
            return NOTHING_TOLD
        return _consistent(total or None, output, read, write, reasoning)

    def to_openai(self) -> dict[str, Any]:
        """The usage object of a chat completion; its shape wants numbers for the two main counts."""
        prompt, completion = self.input_tokens or 0, self.output_tokens or 0
        usage: dict[str, Any] = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }
        inside: dict[str, int] = {}
        if self.cache_read_tokens is not None:
            inside["cached_tokens"] = self.cache_read_tokens
        if self.cache_write_tokens is not None:
            inside["cache_write_tokens"] = self.cache_write_tokens
        if inside:
            usage["prompt_tokens_details"] = inside
        if self.reasoning_tokens is not None:
            usage["completion_tokens_details"] = {"reasoning_tokens": self.reasoning_tokens}
        return usage

    def to_anthropic(self) -> dict[str, Any]:
        """The usage object of a message; its shape wants numbers for the two main counts."""
        usage: dict[str, Any] = {"input_tokens": self.fresh_input_tokens or 0}
        if self.cache_write_tokens is not None:
            usage["cache_creation_input_tokens"] = self.cache_write_tokens
        if self.cache_read_tokens is not None:
            usage["cache_read_input_tokens"] = self.cache_read_tokens
        usage["output_tokens"] = self.output_tokens or 0
        if self.reasoning_tokens is not None:
            usage["output_tokens_details"] = {"thinking_tokens": self.reasoning_tokens}
        return usage


NOTHING_TOLD = TokenUsage()


def _consistent(
    total_in: int | None, out: int | None, read: int | None, write: int | None, reasoning: int | None
) -> TokenUsage:
    """The counts, with no part larger than what it is a part of."""
    if total_in is not None:
        read = None if read is None else min(read, total_in)
        write = None if write is None else min(write, total_in - (read or 0))
    if out is not None and reasoning is not None:
        reasoning = min(reasoning, out)
    return TokenUsage(total_in, out, read, write, reasoning)


def _count(source: dict[str, Any], *names: str) -> int | None:
    for name in names:
        value = source.get(name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
    return None


def _details(source: dict[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        value = source.get(name)
        if isinstance(value, dict):
            return value
    return {}


def _most(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)


def _sum(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other
