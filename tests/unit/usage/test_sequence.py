"""What is missing of a producer's sequence can be named."""

from hypothesis import given
from hypothesis import strategies as st

from services.usage import sequence


@given(st.lists(st.sets(st.integers(1, 60)), max_size=6))
def test_ranges_hold_exactly_what_was_seen_in_any_order_and_with_repetitions(batches: list[set[int]]) -> None:
    ranges: sequence.Ranges = []
    for batch in batches:
        ranges = sequence.seen(sequence.loads(sequence.dumps(ranges)), batch)
    everything = set().union(*batches) if batches else set()
    assert sequence.count(ranges) == len(everything)
    holes = {number for low, high in sequence.missing(ranges) for number in range(low, high + 1)}
    assert holes == (set(range(min(everything), max(everything) + 1)) - everything if everything else set())


def test_a_gap_is_named_and_heals_when_the_late_numbers_come() -> None:
    ranges = sequence.seen([], [1, 2, 5, 6])
    assert sequence.missing(ranges) == [[3, 4]]
    assert sequence.missing(sequence.seen(ranges, [4, 3])) == []
