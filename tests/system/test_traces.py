"""One request is one trace: client, gateway, router and provider, and over the bus the tools and the ledger."""

import http.client
import json
import pathlib
import tempfile

import pytest

from shared.ids import uuid7
from tests.fakes.trace_sink import TraceSink
from tests.system.conftest import real_servers
from tests.system.stack import ADMIN, Stack, running, wait_for

TRACE, CLIENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture(scope="module")
def sink():
    made = TraceSink()
    yield made
    made.close()


@pytest.fixture(scope="module", params=["embedded", "split"])
def stack(request, sink):
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    servers = real_servers() if request.param == "split" else None
    with (
        tempfile.TemporaryDirectory(prefix="tollway-traces-", ignore_cleanup_errors=True) as folder,
        running(Stack(pathlib.Path(folder), servers, environ=environ)) as made,
    ):
        yield made


def ask(stack, path, body, trace):
    connection = http.client.HTTPConnection("127.0.0.1", stack.ports["gateway"], timeout=60)
    connection.request(
        "POST",
        path,
        json.dumps(body),
        {
            "authorization": f"Bearer {ADMIN}",
            "content-type": "application/json",
            "traceparent": f"00-{trace}-{CLIENT}-01",
        },
    )
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    assert answer.status == 200, text
    return answer.headers["x-request-id"]


def the_trace(sink, trace, count):
    """The spans of a trace by name, once all of them have come."""
    found = wait_for(
        lambda: [spans for spans in [[s for s in sink.spans if s.trace == trace]] if len(spans) >= count],
        15,
        f"{count} spans, not {sorted((s.service, s.name) for s in sink.spans if s.trace == trace)}",
    )[0]
    assert len(found) == count, found
    return found


def one(spans, name, parent=None):
    found = [span for span in spans if span.name == name and (parent is None or span.parent == parent.id)]
    assert len(found) == 1, (name, spans)
    return found[0]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/chat/stream/direct"])
def test_a_call_with_a_tool_is_one_trace_from_the_client_to_the_ledger(stack, sink, path):
    trace = uuid7().hex
    messages = [{"role": "user", "content": '{"timezone": "Asia/Tokyo"}'}]
    tools = {"tollway": {"tools": ["builtin__get_current_time"]}}
    chat = {"session_id": trace, "messages": messages, "model_config": {"model_name": "o-tool"}}
    request_id = ask(
        stack, path, tools | (chat if "direct" in path else {"model": "o-tool", "messages": messages}), trace
    )
    # The gateway's, two model calls, the tool's on either side of the bus, and three bookings.
    spans = the_trace(sink, trace, 8)
    gateway = one(spans, "chat")
    assert gateway.parent == CLIENT
    models = [span for span in spans if span.name == "chat tool"]
    assert [span.parent for span in models] == [gateway.id] * 2
    called = one(spans, "execute_tool builtin__get_current_time", gateway)
    ran = one(spans, "run builtin__get_current_time", called)
    for attempt in (*models, called):
        booked = one(spans, "book", attempt)
        assert booked.attributes["tollway.request_id"] == request_id
        if stack.split is not None:
            assert booked.service == "tollway-usage"
    if stack.split is not None:
        assert [span.service for span in (gateway, *models, called, ran)] == [
            f"tollway-{name}" for name in ("gateway", "router", "router", "gateway", "tools")
        ]
    heard = {call["headers"]["traceparent"] for call in stack.provider_books() if trace in str(call["headers"])}
    assert heard == {f"00-{trace}-{span.id}-01" for span in models}
    assert all(int(span.attributes["gen_ai.usage.output_tokens"]) > 0 for span in models)


def test_a_stream_that_is_cut_is_seen_as_a_failed_attempt(stack, sink):
    trace = uuid7().hex
    ask(
        stack,
        "/v1/chat/completions",
        {"model": "o-cut", "stream": True, "messages": [{"role": "user", "content": "x"}]},
        trace,
    )
    spans = the_trace(sink, trace, 3)
    attempt = one(spans, "chat cut", one(spans, "chat"))
    assert attempt.failed
    assert one(spans, "book", attempt)


def test_a_client_that_does_not_want_to_be_traced_is_not(stack, sink):
    """The sampled flag of a `traceparent` is the client's word; what it says no to reaches the provider as no."""
    trace = uuid7().hex
    connection = http.client.HTTPConnection("127.0.0.1", stack.ports["gateway"], timeout=60)
    headers = {"authorization": f"Bearer {ADMIN}", "traceparent": f"00-{trace}-{CLIENT}-00"}
    connection.request(
        "POST",
        "/v1/chat/completions",
        json.dumps({"model": "o-ok", "messages": [{"role": "user", "content": "x"}]}),
        headers,
    )
    assert connection.getresponse().read()
    connection.close()
    follower = uuid7().hex
    ask(stack, "/v1/chat/completions", {"model": "o-ok", "messages": [{"role": "user", "content": "x"}]}, follower)
    the_trace(sink, follower, 3)
    assert not [span for span in sink.spans if span.trace == trace]
