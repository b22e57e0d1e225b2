"""Sessions expire when unused, and the least recently used go first."""

from tollway.memory import MemoryManager
from tollway.server import MemoryPool


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def pool(**options):
    clock = Clock()
    return MemoryPool(clock=clock, **options), clock


def test_the_same_session_has_the_same_memory():
    sessions, _ = pool()
    assert sessions.get_or_create("a", MemoryManager) is sessions.get_or_create("a")
    assert sessions.get_or_create("a") is not sessions.get_or_create("b")
    assert sessions.size == 2


def test_expiry_slides_with_every_use():
    sessions, clock = pool(ttl=10)
    first = sessions.get_or_create("a")
    clock.now = 9
    assert sessions.get_or_create("a") is first
    clock.now = 18
    assert sessions.get_or_create("a") is first
    clock.now = 28.5
    assert sessions.get_or_create("a") is not first


def test_cleaning_forgets_only_what_expired():
    sessions, clock = pool(ttl=10)
    sessions.get_or_create("old")
    clock.now = 8
    sessions.get_or_create("young")
    clock.now = 11
    assert sessions.clean_expired() == 1
    assert "old" not in sessions
    assert "young" in sessions


def test_beyond_capacity_the_least_recently_used_goes():
    sessions, _ = pool(max_items=2)
    sessions.get_or_create("a")
    sessions.get_or_create("b")
    sessions.get_or_create("a")
    sessions.get_or_create("c")
    assert "b" not in sessions
    assert "a" in sessions
    assert sessions.size == 2


def test_cleaning_happens_by_itself_after_the_interval():
    sessions, clock = pool(ttl=10, clean_interval=20)
    sessions.get_or_create("a")
    clock.now = 21
    sessions.get_or_create("b")
    assert sessions.size == 1
