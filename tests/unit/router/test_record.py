"""Records fade, cooldowns end by one good answer, and replicas agree."""

from hypothesis import given
from hypothesis import strategies as st

from services.router.catalog import Target
from services.router.record import HALF_LIFE_SECONDS, Record, Records
from services.router.store import SharedRecords
from shared import clock
from shared.cache_memory import MemoryCache
from shared.errors import CacheUnavailable

COOL = {"cooldown_seconds": 300.0, "probe_seconds": 15.0}


def test_a_target_without_history_counts_as_good() -> None:
    assert Record().success_rate(1000) == 1.0


def test_old_sins_fade() -> None:
    record = Record()
    record.failed(1000, "x", **COOL)
    soon, later = record.success_rate(1000), record.success_rate(1000 + 4 * HALF_LIFE_SECONDS)
    assert soon == 0.5
    assert later > 0.9


def test_a_failed_target_cools_and_wants_a_probe_now_and_then() -> None:
    record = Record()
    record.failed(1000, "x", **COOL)
    assert record.is_cooling(1299)
    assert not record.is_cooling(1300)
    assert not record.wants_probe(1014)
    assert record.wants_probe(1015)


def test_one_good_answer_ends_the_cooldown_but_not_one_that_began_before() -> None:
    record = Record()
    record.failed(1000, "x", **COOL)
    record.succeeded(1001, began_at=999, ttft_ms=None)
    assert record.is_cooling(1001)
    record.succeeded(1016, began_at=1015, ttft_ms=None)
    assert not record.is_cooling(1016)


def test_an_outage_that_is_over_is_forgiven_and_a_second_one_soon_after_is_not() -> None:
    record = Record()
    for second in (0, 15, 30):
        record.failed(1000 + second, "x", **COOL)
    record.succeeded(1046, began_at=1045, ttft_ms=None)
    assert record.success_rate(1046) == 1.0
    record.failed(1060, "x", **COOL)
    record.succeeded(1076, began_at=1075, ttft_ms=None)
    assert record.success_rate(1076) < 0.8
    much_later = 1076 + 4 * HALF_LIFE_SECONDS
    record.failed(much_later, "x", **COOL)
    record.succeeded(much_later + 16, began_at=much_later + 15, ttft_ms=None)
    assert record.success_rate(much_later + 16) > 0.9


def test_a_provider_that_asked_for_a_pause_gets_it_and_no_probe_within() -> None:
    record = Record()
    record.failed(1000, "x", **COOL, retry_after=40)
    assert record.is_cooling(1039)
    assert not record.wants_probe(1030)
    assert not record.is_cooling(1041)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1000)), max_size=30))
def test_a_success_rate_is_always_a_rate(outcomes: list[tuple[bool, float]]) -> None:
    record, now = Record(), 1000.0
    for good, seconds in outcomes:
        now += seconds
        if good:
            record.succeeded(now, now, 5.0)
        else:
            record.failed(now, "x", **COOL)
    assert 0 < record.success_rate(now) <= 1


class Two:
    """Two replicas on one cache."""

    def __init__(self) -> None:
        self.cache = MemoryCache()
        self.one, self.other = Records(), Records()
        self.tell = SharedRecords(self.one, self.cache, lambda: 15.0)
        self.hear = SharedRecords(self.other, self.cache, lambda: 15.0)

    async def exchange(self) -> None:
        await self.tell.exchange()
        await self.hear.exchange()


async def test_a_failure_here_is_a_cooldown_there_and_so_is_its_end() -> None:
    two = Two()
    now = clock.now()
    two.one.of("o/m").failed(now, "down", **COOL)
    two.tell.changed("o/m")
    await two.exchange()
    heard = two.other.of("o/m")
    assert heard.is_cooling(now + 1)
    assert heard.last_error == "down"
    assert heard.success_rate(now) < 1
    heard.succeeded(now + 20, began_at=now + 19, ttft_ms=12.0)
    two.hear.changed("o/m")
    await two.exchange()
    await two.tell.exchange()
    assert not two.one.of("o/m").is_cooling(now + 21)
    assert two.one.of("o/m").cleared_at == now + 20
    await two.tell.exchange()
    await two.hear.exchange()
    assert two.one.of("o/m").success_rate(now + 21) == heard.success_rate(now + 21) == 1.0


async def test_counts_of_replicas_add_up_and_are_not_doubled() -> None:
    two = Two()
    now = clock.now()
    for records, shared in ((two.one, two.tell), (two.other, two.hear)):
        records.of("o/m").failed(now, "x", **COOL)
        shared.changed("o/m")
    for _ in range(5):
        await two.exchange()
    record = two.other.of("o/m")
    assert (record.failures, round(record.foreign_failures)) == (1, 1)


async def test_a_probe_is_claimed_by_one_replica() -> None:
    two = Two()
    target = Target("o", "m")
    assert [await two.tell.claim_probe(target), await two.hear.claim_probe(target)] == [True, False]


class CacheAway(MemoryCache):
    """A cache that cannot be reached."""

    async def set(self, *_: object, **__: object) -> bool:
        raise CacheUnavailable


async def test_without_a_cache_a_probe_is_allowed() -> None:
    shared = SharedRecords(Records(), CacheAway(), lambda: 15.0)
    assert await shared.claim_probe(Target("o", "m"))


def test_records_of_targets_that_are_gone_are_forgotten() -> None:
    records = Records()
    records.of("a/x").failed(1, "x", **COOL)
    records.keep(["b/y"])
    assert records.of("a/x").failures == 0
