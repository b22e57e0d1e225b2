"""The order of targets by strategy; what cools down goes last and is never left out."""

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from services.router.catalog import Model, Target
from services.router.choose import Choice
from services.router.record import Records

NOW = 1_900_000_000.0
A, B, C = Target("p", "a"), Target("p", "b"), Target("p", "c")
COOL = {"cooldown_seconds": 300.0, "probe_seconds": 15.0}


def choice(records: Records, prices: dict[str, float] | None = None, seed: int = 1) -> Choice:
    return Choice(records, lambda target: (prices or {}).get(target.model), random.Random(seed))


def test_the_configured_order_holds_between_equals() -> None:
    assert choice(Records()).order([A, B, C], "success_rate", NOW) == [A, B, C]


def test_the_best_record_comes_first() -> None:
    records = Records()
    records.of(A.key).failed(NOW - 400, "x", **COOL)
    assert choice(records).order([A, B], "success_rate", NOW) == [B, A]


def test_the_quickest_comes_first_and_an_unmeasured_one_gets_a_chance() -> None:
    records = Records()
    records.of(A.key).succeeded(NOW, NOW, 300.0)
    records.of(B.key).succeeded(NOW, NOW, 100.0)
    assert choice(records).order([A, B], "latency", NOW) == [B, A]
    assert choice(records).order([A, B, C], "latency", NOW) == [C, B, A]


def test_the_cheapest_comes_first_and_an_unknown_price_last() -> None:
    assert choice(Records(), {"a": 5.0, "b": 1.0}).order([C, A, B], "cost", NOW) == [B, A, C]


def test_weights_are_followed() -> None:
    heavy, light, none = Target("p", "h", 3.0), Target("p", "l", 1.0), Target("p", "n", 0.0)
    drawing = choice(Records(), seed=7)
    firsts = Counter(drawing.order([heavy, light, none], "weighted", NOW)[0].model for _ in range(4000))
    assert 0.70 < firsts["h"] / 4000 < 0.80
    assert firsts["n"] == 0


@given(
    st.lists(st.booleans(), min_size=3, max_size=3), st.sampled_from(["success_rate", "weighted", "latency", "cost"])
)
def test_cooling_targets_come_last_and_nobody_is_lost(ill: list[bool], strategy: str) -> None:
    records = Records()
    for target, is_ill in zip((A, B, C), ill, strict=True):
        if is_ill:
            records.of(target.key).failed(NOW, "x", **COOL)
    order = choice(records).order([A, B, C], strategy, NOW)  # type: ignore[arg-type]
    assert sorted(order, key=lambda t: t.model) == [A, B, C]
    states = [records.of(target.key).is_cooling(NOW) for target in order]
    assert states == sorted(states)


def test_an_ill_target_is_due_for_one_probe_when_there_is_another() -> None:
    records = Records()
    records.of(A.key).failed(NOW, "x", **COOL)
    assert choice(records).probe([A, B], NOW + 14) is None
    assert choice(records).probe([A, B], NOW + 15) is A
    assert choice(records).probe([A], NOW + 15) is None


def test_auto_takes_the_model_with_the_best_target() -> None:
    records = Records()
    records.of(A.key).failed(NOW, "x", **COOL)
    models = [Model("one", (A,)), Model("two", (B,))]
    assert [model.name for model in choice(records).best(models, NOW)] == ["two", "one"]
