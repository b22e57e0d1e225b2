"""Ids carry their time and rise."""

import time
from uuid import UUID

from shared.ids import is_uuid7, milliseconds_of, new_id, request_id, uuid7


def test_ids_rise_strictly_and_carry_their_time():
    ids = [uuid7() for _ in range(10_000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    assert abs(milliseconds_of(ids[0]) - time.time() * 1000) < 5000
    assert all(one.version == 7 and one.variant == "specified in RFC 4122" for one in ids[:100])


def test_texts_that_are_no_uuid7_are_told_apart():
    assert is_uuid7(new_id())
    assert not is_uuid7(str(UUID(int=0)))
    assert not is_uuid7("x")
    assert request_id().startswith("req_")
