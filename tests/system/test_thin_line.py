"""The thin line through all five services, in both compositions."""

import json
import time
import urllib.request

import anthropic
import openai
import pytest

from tests.system.stack import ADMIN, get, wait_for


@pytest.fixture
def client(stack):
    with openai.OpenAI(base_url=f"{stack.url}/v1", api_key=ADMIN, max_retries=0, timeout=30) as client:
        yield client


HELLO = [{"role": "user", "content": "Hello!"}]


def test_the_demo_model_answers_plain_and_streamed_and_the_ledger_shows_it(stack, client):
    before = stack.usage("stats/current")["today"]["calls"]
    plain = client.chat.completions.with_raw_response.create(model="demo", messages=HELLO)
    answer = plain.parse()
    assert "demo" in answer.choices[0].message.content.lower()
    assert answer.usage.total_tokens > 0
    assert plain.headers["x-tollway-provider"] == "demo"
    (event,) = stack.events(1, request_id=plain.headers["x-request-id"])
    assert (event["status"], event["model"], event["output_tokens"]) == ("ok", "demo", answer.usage.completion_tokens)

    chunks = list(
        client.chat.completions.create(
            model="demo", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == answer.choices[0].message.content
    assert chunks[-1].usage.completion_tokens == answer.usage.completion_tokens
    wait_for(
        lambda: stack.usage("stats/current")["today"]["calls"] >= before + 2, what="both calls are in the statistics"
    )


@pytest.mark.parametrize("model", ["o-ok", "a-ok"])
def test_both_clients_reach_both_kinds_of_provider(stack, client, model):
    said = client.chat.completions.create(model=model, messages=HELLO).choices[0].message.content
    with anthropic.Anthropic(base_url=stack.url, api_key=ADMIN, max_retries=0) as other:
        assert other.messages.create(model=model, max_tokens=50, messages=HELLO).content[0].text == said
        with other.messages.stream(model=model, max_tokens=50, messages=HELLO) as stream:
            assert "".join(stream.text_stream) == said


def offered(stack):
    return [tool["name"] for tool in get(f"{stack.url}/api/tools")["tools"]]


def test_a_built_in_tool_is_called_over_the_bus(stack):
    # Workers announce their tools every few seconds; a gateway that has just started may have to wait for that.
    wait_for(lambda: "builtin__get_current_time" in offered(stack), 20, "the tools are announced")
    body = {
        "model": "o-tool",
        "messages": [{"role": "user", "content": '{"timezone": "Asia/Tokyo"}'}],
        "tollway": {"tools": ["builtin__get_current_time"]},
    }
    request = urllib.request.Request(
        f"{stack.url}/v1/chat/completions",
        json.dumps(body).encode(),
        {"authorization": f"Bearer {ADMIN}", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as raw:
        answer, request_id = json.loads(raw.read()), raw.headers["x-request-id"]
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert "Tokyo" in answer["choices"][0]["message"]["content"]
    kinds = [event["kind"] for event in stack.events(3, request_id=request_id)]
    assert sorted(kinds) == ["model", "model", "tool"]


def test_a_report_job_goes_through_queue_worker_and_artefact(stack):
    asked = {
        "type": "token",
        "token": "usd-coin",
        "address": "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48",
        "sample": True,
        "insight": False,
    }
    job = get(f"{stack.url}/v1/reports", body=asked)
    job = wait_for(lambda: _ended(stack, job["id"]), 60, "the report is made")
    assert job["status"] == "succeeded", job
    request = urllib.request.Request(
        stack.url + job["artifacts"][0]["url"], headers={"authorization": f"Bearer {ADMIN}"}
    )
    with urllib.request.urlopen(request, timeout=10) as page:
        assert b"<svg" in page.read()


def _ended(stack, job_id):
    job = get(f"{stack.url}/v1/reports/{job_id}")
    return job if job["status"] not in ("queued", "running") else None


def test_a_change_of_the_file_is_in_force_within_two_seconds_and_a_broken_one_is_shown(stack, client):
    stack.write_config(demo=False)
    wait_for(lambda: "demo" not in [model.id for model in client.models.list()], 2.5, "demo is gone")
    stack.write_config(demo=True)
    wait_for(lambda: "demo" in [model.id for model in client.models.list()], 2.5, "demo is back")
    good = stack.config_path.read_text()
    stack.config_path.write_text("providers: [")
    wait_for(lambda: get(f"{stack.url}/health")["config"] == "stale", 2.5, "the broken file is shown")
    assert client.chat.completions.create(model="demo", messages=HELLO).choices
    stack.config_path.write_text(good)
    wait_for(lambda: get(f"{stack.url}/health")["config"] == "current", 2.5, "the mended file is taken up")


def test_the_dashboard_and_the_api_pages_are_there(stack):
    for path in ("/static/ai_usage_monitor.html", "/docs", "/openapi.json", "/metrics"):
        with urllib.request.urlopen(stack.url + path, timeout=10) as answer:
            assert answer.status == 200


def test_what_ended_before_a_kill_is_booked_once_after_the_restart(stack, client):
    ids = [
        client.chat.completions.with_raw_response.create(model="o-ok", messages=HELLO).headers["x-request-id"]
        for _ in range(10)
    ]
    for name in stack.services:
        stack.kill(name)
    for name in stack.services:
        stack.start_service(name)
    stack.wait_ready()
    for request_id in ids:
        assert len(stack.events(1, request_id=request_id)) == 1
    time.sleep(1)
    for request_id in ids:
        assert len(stack.events(1, request_id=request_id)) == 1
