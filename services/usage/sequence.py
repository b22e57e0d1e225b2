"""Which numbers of a producer's gapless sequence have been seen: what lies between is missing. Pure."""

import json
from collections.abc import Iterable
from itertools import pairwise

Ranges = list[list[int]]
MOST_RANGES = 2000


def seen(ranges: Ranges, numbers: Iterable[int]) -> Ranges:
    """The ranges with more numbers in them; repetitions change nothing."""
    fresh = sorted([number, number] for number in numbers if number > 0)
    merged: Ranges = []
    for low, high in sorted([*ranges, *fresh]):
        if merged and low <= merged[-1][1] + 1:
            merged[-1][1] = max(merged[-1][1], high)
        else:
            merged.append([low, high])
    # Beyond the bound the oldest holes are given up as told; new ones keep being found.
    if len(merged) > MOST_RANGES:
        merged = [[merged[0][0], merged[-MOST_RANGES][1]], *merged[-MOST_RANGES + 1 :]]
    return merged


def missing(ranges: Ranges) -> Ranges:
    """The holes between the first and the last number seen."""
    return [[left[1] + 1, right[0] - 1] for left, right in pairwise(ranges)]


def count(ranges: Ranges) -> int:
    """How many numbers the ranges hold."""
    return sum(high - low + 1 for low, high in ranges)


def loads(text: str) -> Ranges:
    """The ranges as they are stored."""
    ranges: Ranges = json.loads(text)
    return ranges


def dumps(ranges: Ranges) -> str:
    """The ranges for the store."""
    return json.dumps(ranges, separators=(",", ":"))
