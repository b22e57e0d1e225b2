"""Requests that stay in their dialect keep every byte but those that must change."""

import json

from hypothesis import given
from hypothesis import strategies as st

from services.router.rewrite import rewrite

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


def test_nothing_to_change_is_the_same_object() -> None:
    body = b'{"model":"m"}'
    assert rewrite(body, "m", "m", ask_usage=False).body is body


def test_white_space_numbers_and_order_stay() -> None:
    body = b' { "x" : 1.10 ,"model"  :"alias", "model_config": {"model": "alias"},\n"y":12345678901234567890 } '
    assert rewrite(body, "alias", "real", ask_usage=False).body == body.replace(b'"alias"', b'"real"', 1)


def test_usage_is_asked_for_whatever_was_there() -> None:
    for options, wanted in (
        ("null", {"include_usage": True}),
        (
            '{"include_usage": false, "include_obfuscation": false}',
            {"include_usage": True, "include_obfuscation": False},
        ),
    ):
        body = f'{{"model":"m","stream_options":{options},"z":1}}'.encode()
        assert json.loads(rewrite(body, "m", "m", ask_usage=True).body)["stream_options"] == wanted
    asked = b'{"model":"m","stream_options":{"include_usage":true}}'
    assert rewrite(asked, "m", "m", ask_usage=True).body == asked


def test_choices_are_counted() -> None:
    assert rewrite(b'{"model":"m","n":3}', "m", "m", ask_usage=True).choices == 3
    assert rewrite(b'{"model":"m","n":null}', "m", "m", ask_usage=True).choices == 1


@given(
    st.dictionaries(st.text(max_size=6).filter(lambda k: k not in ("model", "stream_options")), JSON, max_size=5),
    st.text(max_size=10),
)
def test_only_model_and_stream_options_differ(rest: dict[str, object], model: str) -> None:
    request = {**rest, "model": "alias"}
    for spelled in (json.dumps(request), json.dumps(request, indent=2), json.dumps(request, ensure_ascii=False)):
        changed = json.loads(rewrite(spelled.encode(), "alias", model, ask_usage=True).body)
        assert changed.pop("stream_options") == {"include_usage": True}
        assert changed == {**request, "model": model}
