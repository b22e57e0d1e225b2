"""Keys, estimates, headers, frames, refusals: the small parts."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.router.errors import failed
from services.router.estimate import Tokenizer, by_characters, by_size
from services.router.headers import ours, relayed, safe
from services.router.keys import KeyRing
from services.router.meter import cut_answer, used
from shared.messages.gateway import Ending
from shared.messages.router_wire import BrokenFrame, FrameReader, data_frame, ending_frame
from shared.translate.errors import parse_error, timed_out
from shared.translate.progress import Progress
from shared.wire.usage import TokenUsage


def test_keys_are_used_in_order_and_a_rejected_one_rests() -> None:
    ring = KeyRing(["a", "b"])
    assert ring.pick(0) == "a"
    ring.rest("a", 10)
    assert (ring.pick(1), ring.has_fresh(1)) == ("b", True)
    ring.rest("b", 5)
    assert (ring.pick(2), ring.has_fresh(2)) == ("b", False)
    assert ring.pick(11) == "a"
    assert KeyRing([]).pick(0) == ""


def test_texts_are_counted_roughly_without_a_vocabulary() -> None:
    assert by_characters("") == 0
    assert by_characters("tok " * 100) == 100
    assert 4 <= by_characters("你好世界") <= 5
    assert by_size(b"x" * 400) == 100
    picture = b'{"image_url":{"url":"data:image/png;base64,' + b"A" * 1_000_000 + b'"}}'
    assert by_size(picture) < 3000


async def test_a_request_is_counted_by_its_text() -> None:
    body = json.dumps({"messages": [{"role": "user", "content": "hello world, how are you today?"}]}).encode()
    tokenizer = Tokenizer()
    rough, exact = tokenizer.of_request(body), await tokenizer.count_request(body)
    assert abs(rough - exact) <= 4
    assert 8 <= exact <= 16
    assert tokenizer.of_request(b"[1]") == by_size(b"[1]")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5) | st.just("image"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "role", "a"]), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["system", "messages", "tools", "functions", "input"]), JSON))
def test_whatever_a_request_holds_is_counted(request: dict) -> None:
    assert Tokenizer().of_request(json.dumps(request).encode()) >= 1


def test_a_tools_schema_with_several_types_is_counted() -> None:
    schema = {"type": "object", "properties": {"city": {"type": ["string", "null"], "description": "where"}}}
    body = json.dumps({"messages": [], "tools": [{"name": "weather", "input_schema": schema}]}).encode()
    assert Tokenizer().of_request(body) > 2


def test_cookies_servers_and_lengths_of_a_provider_stay_here() -> None:
    headers = {
        "Set-Cookie": "a",
        "Server": "x",
        "Content-Length": "5",
        "Retry-After": "2",
        "X-RateLimit-Limit-Requests": "9",
        "X-Request-Id": "up",
    }
    seen = relayed(headers, same_dialect=True)
    assert seen == {"retry-after": "2", "x-ratelimit-limit-requests": "9", "x-tollway-upstream-request-id": "up"}
    assert "x-ratelimit-limit-requests" not in relayed(headers, same_dialect=False)


@given(st.text())
def test_a_name_is_always_a_safe_header(name: str) -> None:
    name = name.encode("utf-8", "ignore").decode()
    assert safe(name).isascii()
    assert "\n" not in safe(name)
    assert "\r" not in safe(name)


def test_what_is_lost_is_named_once_and_in_order() -> None:
    assert ours("m", "p", 1, ["seed", "logit_bias"])["x-tollway-lossy"] == "logit_bias, seed"
    assert "x-tollway-lossy" not in ours("m", "p", 1)


@given(st.lists(st.binary(max_size=200), max_size=8), st.integers(1, 50))
def test_frames_are_read_however_they_are_cut(pieces: list[bytes], size: int) -> None:
    ending = Ending(attempts=3, usage=TokenUsage(1, 2))
    data = b"".join(data_frame(piece) for piece in pieces) + ending_frame(ending)
    reader, found = FrameReader(), []
    for at in range(0, len(data), size):
        found += reader.feed(data[at : at + size])
    assert found == pieces
    assert reader.ending == ending


def test_what_is_no_frame_is_told() -> None:
    with pytest.raises(BrokenFrame):
        FrameReader().feed(b"HTTP/1.1 500")


def test_silence_is_final_and_a_providers_own_504_is_not() -> None:
    assert failed(timed_out("x")).failure.is_final
    assert not failed(parse_error(504, b"{}", "openai")).failure.is_final


def test_a_count_before_the_end_is_a_beginning() -> None:
    progress = Progress()
    progress.usage = TokenUsage(input_tokens=50, output_tokens=1)
    progress.started_content = True
    progress.count_text("tok " * 20)
    assert used(progress, lambda: 7) == (TokenUsage(50, 20), "estimated")
    progress.finished = True
    progress.usage = TokenUsage(50, 25)
    assert used(progress, lambda: 7) == (TokenUsage(50, 25), "provider")


def test_the_text_of_a_cut_answer_is_counted() -> None:
    body = b'{"choices": [{"message": {"content": "tok tok tok tok tok tok tok tok'
    assert cut_answer(body).estimated_output_tokens == 8
