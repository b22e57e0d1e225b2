"""Members of an object are found, replaced and removed without touching the others."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.wire.splice import DoubledNameError, Members

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(max_size=5), values, max_size=6), st.sampled_from([None, 2]))
def test_members_are_the_values_json_has(value: dict[str, object], indent: int | None) -> None:
    body = json.dumps(value, indent=indent).encode("utf-8", "surrogatepass")
    try:
        members = Members(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    assert {name: json.loads(members.raw(name) or b"") for name in members.spans} == value
    assert json.loads(members.spliced({}, ())) == value


def test_what_is_not_changed_keeps_its_bytes() -> None:
    body = b'{ "model" : "x","n": 1.10 ,"big":12345678901234567890123,\n"mine":{"a":[1,"}"]}, "tiny":1E-7}'
    changed = Members(body).spliced({"model": b'"y"', "new": b"[1]"}, {"mine"})
    assert changed == b'{"model" : "y","n": 1.10,"big":12345678901234567890123,"tiny":1E-7,"new":[1]}'


@pytest.mark.parametrize(
    "body",
    [b'{"a":1,"a":2}', b'{"a":1,"a":1}', b'{"a":1,"\\u0061":{"a":1}}', b'{"x":[1],"a":1, "x":[2] ,"a":"}"}'],
)
def test_a_name_given_twice_is_seen(body: bytes) -> None:
    with pytest.raises(DoubledNameError, match="'a' is given twice"):
        Members(body).require_single({"a", "b"})


def test_a_doubled_name_elsewhere_does_not_hide_the_others() -> None:
    members = Members(b'{"x":1,"model":"m","x":{"model":"n","y":[",",{"x":2}]},"s":"a"}')
    members.require_single({"model", "s"})
    assert members.raw("model") == b'"m"'
    assert members.raw("s") == b'"a"'
    assert members.spliced({}, {"s"}) == b'{"x":1,"model":"m","x":{"model":"n","y":[",",{"x":2}]}}'


@pytest.mark.parametrize("body", [b"[]", b"1", b"", b'{"a":NaN}', b'{"a":1,}', b'{"a":"\\ud800"}', b"{}{}"])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        Members(body)
