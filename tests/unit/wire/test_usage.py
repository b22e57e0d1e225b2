import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.wire.usage import NOTHING_TOLD, TokenUsage

COUNTS = st.none() | st.integers(0, 2000)


def test_anthropics_exclusive_counts_are_summed() -> None:
    usage = TokenUsage.from_anthropic(
        {"input_tokens": 50, "cache_read_input_tokens": 900, "cache_creation_input_tokens": 50, "output_tokens": 7}
    )
    assert usage == TokenUsage(1000, 7, 900, 50)
    assert usage.to_openai() == {
        "prompt_tokens": 1000,
        "completion_tokens": 7,
        "total_tokens": 1007,
        "prompt_tokens_details": {"cached_tokens": 900, "cache_write_tokens": 50},
    }


def test_openais_inclusive_counts_are_taken_apart_for_anthropic() -> None:
    usage = TokenUsage.from_openai(
        {
            "prompt_tokens": 1000,
            "completion_tokens": 20,
            "prompt_tokens_details": {"cached_tokens": 900, "cache_write_tokens": 50},
            "completion_tokens_details": {"reasoning_tokens": 9},
        }
    )
    assert usage.to_anthropic() == {
        "input_tokens": 50,
        "cache_creation_input_tokens": 50,
        "cache_read_input_tokens": 900,
        "output_tokens": 20,
        "output_tokens_details": {"thinking_tokens": 9},
    }


@pytest.mark.parametrize(
    "told",
    [None, [], "5", {}, {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, {"prompt_tokens": None}],
)
def test_what_is_not_told_is_unknown_and_not_zero(told: object) -> None:
    assert TokenUsage.from_openai(told) == NOTHING_TOLD
    assert NOTHING_TOLD.total_tokens is None


def test_a_bucket_that_is_not_told_stays_unknown_and_a_zero_that_is_told_stays_zero() -> None:
    assert TokenUsage.from_openai({"prompt_tokens": 5, "completion_tokens": 0}) == TokenUsage(5, 0)
    assert TokenUsage.from_openai(
        {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 0}}
    ) == TokenUsage(5, 1, 0)


def test_an_embeddings_total_tells_that_there_was_no_output() -> None:
    assert TokenUsage.from_openai({"prompt_tokens": 3, "total_tokens": 3}) == TokenUsage(3, 0)
    assert TokenUsage.from_openai({"prompt_tokens": 3}) == TokenUsage(3)
    assert TokenUsage.from_openai({"prompt_tokens": 0, "total_tokens": 0}) == NOTHING_TOLD


def test_reports_that_contradict_themselves_are_clamped() -> None:
    usage = TokenUsage.from_openai(
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 3},
            "completion_tokens_details": {"reasoning_tokens": 50},
        }
    )
    assert usage == TokenUsage(10, 5, 10, 0, 5)


def test_reasoning_counted_beside_the_completion_is_added() -> None:
    usage = TokenUsage.from_openai(
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 115,
            "completion_tokens_details": {"reasoning_tokens": 100},
        }
    )
    assert usage == TokenUsage(10, 105, reasoning_tokens=100)


def test_odd_numbers_are_not_believed() -> None:
    assert TokenUsage.from_openai({"prompt_tokens": 7.0, "completion_tokens": -1}) == TokenUsage(7)
    assert TokenUsage.from_openai({"prompt_tokens": True, "completion_tokens": 3}) == TokenUsage(None, 3)


def test_the_frames_of_a_stream_merge_to_the_largest_counts() -> None:
    start = TokenUsage.from_anthropic({"input_tokens": 25, "cache_read_input_tokens": 75, "output_tokens": 1})
    end = TokenUsage.from_anthropic({"output_tokens": 40})
    assert start.merge(end) == TokenUsage(100, 40, 75)


def test_cache_lifetimes_are_summed_when_the_sum_is_missing() -> None:
    told = {"input_tokens": 1, "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 3}}
    assert TokenUsage.from_anthropic(told) == TokenUsage(6, None, None, 5)


def test_answers_add_up() -> None:
    assert TokenUsage(1, 2).plus(TokenUsage(3, None, 4)) == TokenUsage(4, 2, 4)


@given(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
def test_usage_survives_both_dialects(
    input_tokens: int | None, output: int | None, read: int | None, write: int | None, reasoning: int | None
) -> None:
    usage = NOTHING_TOLD.merge(TokenUsage(input_tokens or None, output, read, write, reasoning))
    if usage.input_tokens is None or usage.output_tokens is None:
        return
    assert TokenUsage.from_openai(usage.to_openai()) == usage
    assert TokenUsage.from_anthropic(usage.to_anthropic()) == usage
    assert usage.merge(usage) == usage
