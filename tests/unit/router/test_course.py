"""The order of attempts, for every way to fail."""

import random

from hypothesis import given
from hypothesis import strategies as st

from services.router.catalog import Target
from services.router.course import PATIENCE_SECONDS, Course
from services.router.errors import Failure
from shared.translate.errors import KINDS, UpstreamError

A, B, F, G = Target("p", "a"), Target("p", "b"), Target("q", "f"), Target("q", "g")
REFUSALS = {"timeout", "bad_request", "not_found", "too_large", "auth", "quota"}


def failure(kind: str, retry_after: float | None = None, *, other_key: bool = False) -> Failure:
    return Failure(UpstreamError(500, None, None, kind, retry_after=retry_after), kind, {}, other_key)  # type: ignore[arg-type]


def walk(course: Course, kinds: list[Failure]) -> list[tuple[str, bool]]:
    """Whom it asks, and whether after a pause, when everything fails like this."""
    seen: list[tuple[str, bool]] = []
    for each in kinds:
        step = course.next()
        if step is None:
            break
        seen.append((step.target.model, step.pause_seconds > 0))
        course.failed(step.target, each)
    return seen


def course(own: list[Target], fallbacks: list[list[Target]], retries: int = 2) -> Course:
    return Course(own, fallbacks, retries=retries, dice=random.Random(1))


def test_another_target_at_once_then_the_same_after_a_pause_then_the_fallbacks() -> None:
    seen = walk(course([A, B], [[F], [G]]), [failure("server")] * 9)
    assert seen == [("a", False), ("b", False), ("a", True), ("f", False), ("g", False)]


def test_no_retries_means_the_fallbacks_at_once() -> None:
    assert walk(course([A, B], [[F]], retries=0), [failure("server")] * 9) == [("a", False), ("f", False)]


def test_a_refused_request_is_not_sent_there_again() -> None:
    for kind in REFUSALS:
        assert walk(course([A], [[F]]), [failure(kind)] * 9) == [("a", False), ("f", False)]


def test_a_refusal_of_one_target_leaves_the_others() -> None:
    seen = walk(course([A, B], []), [failure("auth"), failure("server"), failure("server"), failure("server")])
    assert seen == [("a", False), ("b", False), ("b", True)]


def test_a_context_refusal_goes_to_the_fallbacks_and_a_filter_to_nobody() -> None:
    assert walk(course([A, B], [[F]]), [failure("context_length")] * 9) == [("a", False), ("f", False)]
    assert walk(course([A, B], [[F]]), [failure("content_filter")] * 9) == [("a", False)]


def test_a_retry_after_is_kept_when_it_is_short_and_not_waited_for_when_long() -> None:
    short = course([A], [])
    step = short.next()
    assert step is not None
    short.failed(A, failure("rate_limit", 4.0))
    again = short.next()
    assert again is not None
    assert again.pause_seconds == 4.0
    assert walk(course([A], [[F]]), [failure("rate_limit", 60.0)] * 9) == [("a", False), ("f", False)]


def test_another_key_is_tried_on_the_same_target_without_a_pause() -> None:
    assert walk(course([A], []), [failure("auth", other_key=True), failure("auth")]) == [("a", False), ("a", False)]


def test_a_target_that_cannot_take_the_request_costs_no_attempt() -> None:
    skipping = course([A, B], [], retries=0)
    step = skipping.next()
    assert step is not None
    skipping.skip(step.target)
    assert walk(skipping, [failure("server")] * 9) == [("b", False)]


def test_a_fallback_goes_on_to_its_next_target_when_one_cannot_take_the_request() -> None:
    skipping = course([A], [[F, B]], retries=0)
    assert skipping.next() is not None
    skipping.failed(A, failure("server"))
    step = skipping.next()
    assert step is not None
    skipping.skip(step.target)
    assert walk(skipping, [failure("server")] * 9) == [("b", False)]


KIND = st.sampled_from(KINDS)


@given(
    st.integers(1, 4),
    st.lists(st.integers(1, 2), max_size=3),
    st.integers(0, 4),
    st.lists(st.tuples(KIND, st.none() | st.floats(0, 90)), min_size=20, max_size=20),
)
def test_attempts_are_bounded_and_nobody_is_asked_what_it_refused(
    own: int, fallbacks: list[int], retries: int, fates: list[tuple[str, float | None]]
) -> None:
    targets = [Target("p", f"t{i}") for i in range(own)]
    others = [[Target("q", f"f{i}-{j}") for j in range(n)] for i, n in enumerate(fallbacks)]
    walking = course(targets, others, retries)
    refused: set[str] = set()
    attempts = 0
    for kind, retry_after in fates:
        step = walking.next()
        if step is None:
            break
        attempts += 1
        assert step.target.key not in refused
        assert step.pause_seconds <= max(PATIENCE_SECONDS, 2.6)
        told = failure(kind, retry_after)
        if told.is_final:
            refused.add(step.target.key)
        walking.failed(step.target, told)
    assert attempts <= 1 + retries + len(others)
