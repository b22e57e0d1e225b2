import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.wire.sse import EventTooLongError, SseEvent, SseReader, encode_event


def read(*pieces: bytes) -> list[SseEvent]:
    reader = SseReader()
    events = [event for piece in pieces for event in reader.feed(piece)]
    return events + reader.finish()


def told(*pieces: bytes) -> list[tuple[str | None, bytes]]:
    return [(event.event, event.data) for event in read(*pieces)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_every_line_end_of_the_format_ends_a_line(end: bytes) -> None:
    stream = end.join([b": hello", b"", b"event: a", b"data: 1", b"", b"data:2", b"data:  3", b"", b""])
    assert told(stream) == [("a", b"1"), (None, b"2\n 3")]


def test_an_event_keeps_its_exact_bytes() -> None:
    first, second = b"event: x\ndata: {}\n\n", b'id: 7\nretry: 10\ndata:{"a":1}\n\n'
    assert [event.raw for event in read(first + second)] == [first, second]


def test_only_an_event_written_as_clients_want_it_is_clean() -> None:
    clean = [b"data: 1\n\n", b"event: x\ndata: 1\n\n"]
    assert all(event.is_clean for piece in clean for event in read(piece))
    unclean = [
        b"data:1\n\n",
        b": c\ndata: 1\n\n",
        b"id: 1\ndata: 1\n\n",
        b"data: 1\r\n\r\n",
        b"data: 1\r\r",
        b"data: 1",
    ]
    assert not any(event.is_clean for piece in unclean for event in read(piece))


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        b"\n\n",
        b": comment\n\n",
        b"event: ping\n\n",
        b"retry: 3\n\n",
        b"data:\n\n",
        b"data: \n\n",
        b"id: 1\n\n: x\n\n",
    ],
)
def test_what_carries_no_data_is_no_event(stream: bytes) -> None:
    assert told(stream) == []


def test_a_byte_order_mark_does_not_hide_the_first_event() -> None:
    assert told(b"\xef\xbb\xbfdata: 1\n\n") == [(None, b"1")]


def test_the_last_event_needs_no_blank_line() -> None:
    assert told(b"data: 1\n\ndata: 2") == [(None, b"1"), (None, b"2")]


def test_unicode_line_separators_are_text() -> None:
    data = '{"t":"a\u2028b\u0085c\u2029"}'.encode()
    assert told(b"data: " + data + b"\n\n") == [(None, data)]


def test_objects_whose_blank_line_was_forgotten_are_events_of_their_own() -> None:
    assert told(b'data: {"a":1}\ndata: {"b":2}\ndata: [DONE]\n\n') == [
        (None, b'{"a":1}'),
        (None, b'{"b":2}'),
        (None, b"[DONE]"),
    ]


def test_one_object_over_several_lines_is_one_event() -> None:
    assert told(b'data: {"a":\ndata: 1}\n\n') == [(None, b'{"a":\n1}')]


def test_a_json_body_in_a_streams_place_is_read_as_data() -> None:
    assert told(b'{\n  "error": {"message": "no"}\n}\n') == [(None, b'{\n  "error": {"message": "no"}\n}')]


def test_two_blank_lines_are_one_boundary() -> None:
    assert told(b"data: 1\n\n\ndata: 2\n\n\n\n") == [(None, b"1"), (None, b"2")]


def test_a_large_event_in_small_pieces_is_read_in_linear_time() -> None:
    stream = b"data: " + b"x" * 2_000_000 + b"\n\n"
    pieces = [stream[i : i + 256] for i in range(0, len(stream), 256)]
    (event,) = read(*pieces)
    assert len(event.data) == 2_000_000


def test_an_endless_event_is_refused() -> None:
    reader = SseReader(max_event_bytes=100)
    reader.feed(b"data: " + b"x" * 90)
    with pytest.raises(EventTooLongError):
        reader.feed(b"endless")


STREAMS = [
    b'\xef\xbb\xbf: hi\r\n\r\nevent: a\r\ndata: {"x":"\xe4\xbd\xa0\xe2\x80\xa8"}\r\n\r\n'
    b"data:1\r\rid: 4\ndata: 2\n\ndata: 3",
    b'data: {"a":1}\n\nevent: ping\ndata: {}\n\ndata: {"b":\ndata: 2}\n\n\n: c\n\ndata: [DONE]\n\n',
    "data: 🚦🛣️ żółć\n\ndata: x\r\ndata: y\r\n\r\ndata: z\n\n".encode(),
]


@given(st.sampled_from(STREAMS), st.lists(st.integers(0, 200), max_size=12))
def test_the_way_a_stream_is_cut_does_not_matter(stream: bytes, cuts: list[int]) -> None:
    places = sorted({cut % len(stream) for cut in cuts} | {0, len(stream)})
    pieces = [stream[start:end] for start, end in itertools.pairwise(places)]
    assert told(*pieces) == told(stream) == told(*(bytes([byte]) for byte in stream))


@given(st.binary(max_size=60).filter(lambda data: b"\r" not in data and data.strip()), st.sampled_from([None, "x"]))
def test_what_is_written_is_read_back(data: bytes, name: str | None) -> None:
    if any(not line.strip() for line in data.split(b"\n")) or b"\n" in data:
        return
    (event,) = read(encode_event(data, name))
    assert (event.event, event.data, event.is_clean) == (name, data, True)
