import json

import msgspec
import pytest

from shared.translate.errors import (
    UpstreamError,
    error_of,
    kind,
    parse_error,
    parse_retry_after,
    render,
    render_event,
    timed_out,
    unreachable,
)

OPENAI = b'{"error":{"message":"no","type":"invalid_request_error","param":"x","code":"bad"}}'
ANTHROPIC = b'{"type":"error","error":{"type":"overloaded_error","message":"busy"},"request_id":"req_1"}'


def test_both_dialects_are_read() -> None:
    told = parse_error(400, OPENAI, "openai")
    assert (told.status, told.type, told.code, told.message, told.param) == (
        400,
        "invalid_request_error",
        "bad",
        "no",
        "x",
    )
    told = parse_error(529, ANTHROPIC, "anthropic", 3.0)
    assert (told.status, told.type, told.message, told.retry_after, told.body) == (
        529,
        "overloaded_error",
        "busy",
        3.0,
        ANTHROPIC,
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html><head><style>x{}</style></head><body><h1>502 Bad Gateway</h1>\n</body></html>", "502 Bad Gateway"),
        (b"", "the provider answered 502 without an explanation"),
        (b'"plain words"', "plain words"),
        (b"upstream connect error", "upstream connect error"),
        (b'{"detail":"Not here"}', "Not here"),
        (b'{"detail":[{"loc":["body"],"msg":"field required"}]}', "field required"),
        (b'{"message":"gone"}', "gone"),
        (b'{"error":"model overloaded"}', "model overloaded"),
        (b'[{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}]', "busy"),
        (b'{"error":{"message":""}}', '{"message":""}'),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"null", "the provider answered 502 without an explanation"),
        (b"{}", "the provider answered 502 without an explanation"),
    ],
)
def test_bodies_of_any_make_have_a_message(body: bytes, message: str) -> None:
    told = parse_error(502, body)
    assert (told.status, told.message) == (502, message)


def test_the_status_of_an_error_under_200_follows_from_what_it_says() -> None:
    assert parse_error(200, ANTHROPIC).status == 529
    assert parse_error(200, b'{"error":{"message":"x","code":429}}').status == 429
    assert parse_error(200, b'{"error":{"message":"x","code":"rate_limit_exceeded"}}').status == 429
    assert parse_error(200, b'{"error":{"message":"x","type":"server_error"}}').status == 500
    assert parse_error(200, b"<html>").status == 502


def test_messages_are_short_and_hold_no_key() -> None:
    told = parse_error(401, b'{"error":{"message":"Incorrect API key provided: sk-proj-abcdef0123456789. See docs."}}')
    assert told.message == "Incorrect API key provided: [key]. See docs."
    assert len(parse_error(500, b'"' + b"x" * 100_000 + b'"').message) <= 2000


@pytest.mark.parametrize(
    ("status", "type_", "code", "message", "expected"),
    [
        (429, "rate_limit_error", None, "slow down", "rate_limit"),
        (429, "tokens", "rate_limit_exceeded", "Rate limit reached", "rate_limit"),
        (429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota", "quota"),
        (402, "billing_error", None, "pay", "quota"),
        (400, "invalid_request_error", None, "Your credit balance is too low to access the API", "quota"),
        (529, "overloaded_error", None, "Overloaded", "overloaded"),
        (503, "overloaded_error", None, "Overloaded", "overloaded"),
        (503, None, None, "down", "server"),
        (500, "api_error", None, "content policy service failed", "server"),
        (502, None, None, "bad gateway", "server"),
        (504, None, None, "late", "timeout"),
        (408, None, None, "late", "timeout"),
        (401, "authentication_error", None, "invalid x-api-key", "auth"),
        (403, "permission_error", None, "no", "auth"),
        (404, "not_found_error", None, "model: x", "not_found"),
        (413, "request_too_large", None, "Request exceeds the maximum size", "too_large"),
        (400, "invalid_request_error", "context_length_exceeded", "too long", "context_length"),
        (400, "invalid_request_error", None, "prompt is too long: 208310 tokens > 200000 maximum", "context_length"),
        (
            400,
            "invalid_request_error",
            None,
            "input length and `max_tokens` exceed context limit: 1 + 2 > 3",
            "context_length",
        ),
        (400, None, None, "This model's maximum context length is 8192 tokens.", "context_length"),
        (400, "invalid_request_error", "content_policy_violation", "no", "content_filter"),
        (400, "invalid_request_error", None, "rejected by the content policy", "content_filter"),
        (400, "invalid_request_error", None, "Output blocked by content filtering policy", "content_filter"),
        (400, "invalid_request_error", None, "messages: field required", "bad_request"),
        (422, None, None, "no", "bad_request"),
        (409, "conflict_error", None, "no", "bad_request"),
    ],
)
def test_errors_are_sorted_by_what_helps(
    status: int, type_: str | None, code: str | None, message: str, expected: str
) -> None:
    assert kind(UpstreamError(status, type_, code, message)) == expected


def test_failures_of_the_connection_are_sorted_too() -> None:
    assert kind(timed_out("late")) == "timeout"
    assert kind(unreachable("refused")) == "connection"


def test_an_error_is_told_in_the_clients_dialect() -> None:
    anthropic = parse_error(529, ANTHROPIC, "anthropic")
    assert json.loads(render(anthropic, "openai")) == {
        "error": {"message": "busy", "type": "server_error", "param": None, "code": "overloaded_error"}
    }
    assert json.loads(render(anthropic, "anthropic", "req_2")) == {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "busy"},
        "request_id": "req_2",
    }
    openai = parse_error(400, OPENAI, "openai")
    assert json.loads(render(openai, "openai")) == json.loads(OPENAI)
    assert json.loads(render(openai, "anthropic"))["error"] == {
        "type": "invalid_request_error",
        "message": "no",
        "details": {"error_code": "bad"},
    }


def test_an_error_inside_a_stream_is_an_event_of_the_clients_dialect() -> None:
    error = parse_error(529, ANTHROPIC, "anthropic")
    assert render_event(error, "openai").startswith(b'data: {"error":{"message":"busy"')
    assert render_event(error, "anthropic").startswith(b'event: error\ndata: {"type":"error","error":')


def test_too_long_a_prompt_is_told_in_the_words_that_anthropic_clients_act_on() -> None:
    error = UpstreamError(400, None, "context_length_exceeded", "maximum context length is 8192", dialect="openai")
    assert json.loads(render(error, "anthropic"))["error"]["message"].startswith("prompt is too long: ")
    told = parse_error(400, b'{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long"}}')
    assert json.loads(render(told, "openai"))["error"]["code"] == "context_length_exceeded"


def test_an_error_event_of_the_same_dialect_is_relayed_byte_for_byte() -> None:
    for dialect, name, body in (
        ("anthropic", b"event: error\n", b'{"type": "error", "x": 1.10, "error": {"type": "e", "message": "a  b"}}'),
        ("openai", b"", b'{"error": {"message": "sk-12345678", "x": 12345678901234567890123}}'),
    ):
        event = error_of(msgspec.json.decode(body), 200, dialect, body=body)
        assert render_event(event, dialect) == name + b"data: " + body + b"\n\n"


@pytest.mark.parametrize("body", [b'{"error": "text"}', b'{"error": {"code": 5}}', b'{"error": []}', b"x"])
def test_an_error_event_that_clients_cannot_read_is_told_anew(body: bytes) -> None:
    for dialect in ("openai", "anthropic"):
        told = render_event(parse_error(200, body, dialect), dialect)
        assert msgspec.json.decode(told.split(b"data: ")[1])["error"]["message"]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2", 2.0),
        ("0.5", 0.5),
        ("-1", 0.0),
        ("Sat, 21 Nov 2026 11:00:10 GMT", 10.0),
        ("soon", None),
        (None, None),
        ("", None),
    ],
)
def test_retry_after_is_read_in_seconds_or_as_a_date(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, now=1795258800.0) == seconds
