"""Request bodies that are not what they should be: a clear refusal that names the field, soon, and nothing kept."""

import time

import pytest

from tests.fakes.gateway import Gateway

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"[]", None),
        (b"3", None),
        (b"{", None),
        (b'{"model":"m","messages":[{"role":"user","content":"\xff"}]}', None),
        (b'{"model":"m","messages":[{"role":"user","content":"\\ud800"}]}', None),
        (b'{"model":"m","messages":[{"role":"user","content":NaN}]}', None),
        (b'{"model":"m","messages":[{"role":"user","content":"x"}],"a":' + b"[" * 250 + b"]" * 250 + b"}", None),
        (b'{"model":"m","messages":[{"role":"user","content":"x"}],"a":' + b"[" * 9999 + b"]" * 9999 + b"}", None),
        (b'{"model":"m","model":"n","messages":[{"role":"user","content":"x"}]}', "model"),
        (b'{"model":"m","messages":[{"role":"user"}],"tollway":{"function":"a","function":"b"}}', "tollway.function"),
        ({"messages": CHAT["messages"]}, "model"),
        ({**CHAT, "model": 3}, "model"),
        ({**CHAT, "model": ""}, "model"),
        ({"model": "m"}, "messages"),
        ({**CHAT, "messages": []}, "messages"),
        ({**CHAT, "messages": "hi"}, "messages"),
        ({**CHAT, "messages": ["hi"]}, "messages[0]"),
        ({**CHAT, "messages": [{"role": 1}]}, "messages[0].role"),
        ({**CHAT, "messages": [*CHAT["messages"], {}]}, "messages[1].role"),
        ({**CHAT, "messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({**CHAT, "messages": [{"role": "user", "content": {}}]}, "messages[0].content"),
        ({**CHAT, "temperature": "hot"}, "temperature"),
        ({**CHAT, "top_p": True}, "top_p"),
        ({**CHAT, "n": "two"}, "n"),
        ({**CHAT, "tools": {}}, "tools"),
        ({**CHAT, "tool_choice": 5}, "tool_choice"),
        ({**CHAT, "stop": {}}, "stop"),
        ({**CHAT, "response_format": "json"}, "response_format"),
        ({**CHAT, "stream": "yes"}, "stream"),
        ({**CHAT, "session_id": 5}, "session_id"),
        ({**CHAT, "session_id": "x" * 300}, "session_id"),
        ({**CHAT, "session_id": "a\0b"}, "session_id"),
        ({**CHAT, "model": "m\0"}, "model"),
        ({**CHAT, "tollway": []}, "tollway"),
        ({**CHAT, "max_tokens": "many"}, "max_tokens"),
    ],
)
async def test_bad_input_is_400_and_names_the_field(gateway: Gateway, body: object, param: str | None) -> None:
    answer = await gateway.ask("/v1/chat/completions", body)
    assert answer.status == 400, answer.body
    error = answer.json()["error"]
    assert error["message"]
    assert error["param"] == param
    assert error["type"] == "invalid_request_error"
    assert not gateway.router.calls


async def test_what_means_nothing_is_taken_as_absent(gateway: Gateway) -> None:
    nothing = dict.fromkeys(("tools", "tool_choice", "stop", "response_format", "temperature", "max_tokens", "stream"))
    body = {**CHAT, **nothing, "messages": [*CHAT["messages"], {"role": "assistant", "content": None}]}
    assert (await gateway.ask("/v1/chat/completions", body)).status == 200


@pytest.mark.parametrize("half", [b"\\ud800", b"\\uDBFFx", b"\\udc00", b"\\ud83d\\ud83d\\ude00"])
async def test_half_a_surrogate_pair_is_called_by_its_name(gateway: Gateway, half: bytes) -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"' + half + b'"}]}'
    answer = await gateway.ask("/v1/chat/completions", body)
    assert answer.status == 400
    assert "surrogate" in answer.json()["error"]["message"]


async def test_names_doubled_a_hundred_thousand_times_are_refused_without_a_long_look(gateway: Gateway) -> None:
    body = b'{"messages":[{"role":"user"}]' + b"".join(b',"a%d":1' % (number // 2) for number in range(100_000))
    began = time.process_time()
    answer = await gateway.ask("/v1/chat/completions", body + b',"model":"m","model":"n"}')
    assert (answer.status, answer.json()["error"]["param"]) == (400, "model")
    assert time.process_time() - began < 4  # a look that copies what lies before each name takes far longer


async def test_more_messages_than_anybody_has_are_refused(gateway: Gateway) -> None:
    body = b'{"model":"m","messages":[' + b'{"role":"user"},' * 100_000 + b'{"role":"user"}]}'
    answer = await gateway.ask("/v1/chat/completions", body)
    assert (answer.status, answer.json()["error"]["param"]) == (400, "messages")


async def test_millions_of_small_values_are_refused_before_anybody_looks_at_each(gateway: Gateway) -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"x"}],"a":[' + b"{}," * 3_000_000 + b"{}]}"
    began = time.process_time()
    answer = await gateway.ask("/v1/chat/completions", body)
    assert answer.status == 400
    assert time.process_time() - began < 4


async def test_messages_refuse_in_their_own_shape(gateway: Gateway) -> None:
    answer = await gateway.ask("/v1/messages", CHAT)
    assert answer.status == 400
    told = answer.json()
    assert told["type"] == "error"
    assert told["error"]["type"] == "invalid_request_error"
    assert "max_tokens" in told["error"]["message"]
    assert told["request_id"] == answer.headers["request-id"]


@pytest.mark.parametrize("doubled", [False, True])
async def test_depth_200_is_taken(gateway: Gateway, doubled: bool) -> None:
    deep = b"[" * 199 + b"]" * 199
    body = (
        b'{"model":"m","messages":[{"role":"user","content":"[[[{{{"}],"a":' + deep + (b',"b":' + deep) * doubled + b"}"
    )
    assert (await gateway.ask("/v1/chat/completions", body)).status == 200


async def test_a_body_over_the_bound_is_413_without_being_kept(gateway: Gateway) -> None:
    answer = await gateway.ask("/v1/chat/completions", b"{", content_length=str(33 << 20))
    assert answer.status == 413
    answer = await gateway.visit("POST", "/v1/messages", [b"x" * (1 << 20)] * 40).done()
    assert answer.status == 413
    assert answer.json()["error"]["type"] == "request_too_large"


async def test_an_encoded_body_is_415(gateway: Gateway) -> None:
    assert (await gateway.ask("/v1/chat/completions", CHAT, content_encoding="gzip")).status == 415
