"""How deep a text is nested, whatever stands in its strings and however many there are."""

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.wire import nesting
from shared.wire.nesting import MAX_DEPTH, too_deep

VALUES = st.recursive(
    st.none() | st.text('[]{}"\\,:x\u2028'),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('[{"\\'), inner, max_size=4),
    max_leaves=30,
)


def nested(depth, text="x"):
    return json.dumps({text: 0}).encode()[:-2] + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


@given(value=VALUES, above=st.integers(0, 3))
def test_what_stands_in_strings_never_counts(value, above):
    filled = json.dumps(["[" * MAX_DEPTH, value]).encode()
    assert not too_deep(filled)
    deep = b"[" * (MAX_DEPTH - 1) + filled + b"]" * (MAX_DEPTH - 1)
    assert not too_deep(b"[" * (MAX_DEPTH - above) + b'"["' + b"]" * (MAX_DEPTH - above))
    assert too_deep(b"[" + deep + b"]")


@pytest.mark.parametrize("text", ["x", "[" * 300, '"\\[' * 100_000, "x" * 600_000])
def test_the_limit_is_exact_and_a_string_may_be_longer_than_what_is_read_at_once(text):
    assert not too_deep(nested(MAX_DEPTH, text))
    assert too_deep(nested(MAX_DEPTH + 1, text))


@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_it_does_not_matter_where_a_piece_ends(size, monkeypatch):
    monkeypatch.setattr(nesting, "_PIECE_BYTES", size)
    inner = json.dumps([{"a": 'b"[\\'}, ["long string, longer than a piece\\\\"], '\\"[[', {}]).encode()
    assert not too_deep(b"[" * (MAX_DEPTH - 2) + inner + b"]" * (MAX_DEPTH - 2))
    assert too_deep(b"[" * (MAX_DEPTH - 1) + inner + b"]" * (MAX_DEPTH - 1))


def test_millions_of_small_strings_cost_no_more_memory_than_the_body():
    body = b"[" + b'{"role":"user","content":""},' * 100_000 + b"[]]"
    tracemalloc.start()
    assert not too_deep(body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < len(body)
