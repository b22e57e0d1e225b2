"""The library against the real thing: `tollway up` with its demo model, and an agent of ours behind the gateway."""

import asyncio
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import openai
import pytest
from tollway import get_usage_monitor, record_ai_usage, track_ai_usage
from tollway.agent import BaseAgent
from tollway.client import AsyncTollwayClient, TollwayClient
from tollway.memory import MemoryManager
from tollway.models import OpenAILike
from tollway.server import APIPublisherConfig, OpenAIRequest, publish_agent_api
from tollway.tools import ToolExecutor, ToolRegistry, tool

from tests.integration.sdk.serve import Served

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "sdk" / "examples").glob("*.py"))
TOKEN = "admin-token-of-the-live-tests"
CONFIG = """
providers:
  my_agents: {{protocol: openai, base_url: "{agent}/v1"}}
tools: {{python: ["my_tools:registry", "my_tools:handlers"]}}
models:
  my-agent: {{targets: [{{provider: my_agents, model: shouter}}]}}
"""


TOOLS = """
from tollway.tools import McpToolExecute, ToolInfo, ToolRegistry, tool

@tool
def search_notes(query: str) -> str:
    \"\"\"Searches the notes.\"\"\"
    return f"three notes about {query}"

registry = ToolRegistry(search_notes)
handlers = McpToolExecute()

async def speak(arguments, on_chunk=None, on_complete=None, on_error=None):
    for piece in ("one ", "two"):
        on_chunk(piece)
    return "one two"

handlers.register_tool(ToolInfo(name="speak", description="Speaks", supports_streaming=True), speak)
"""


class Shouter(BaseAgent):
    """Says it louder."""

    async def run(self, request: OpenAIRequest):
        for word in request.get_user_query().upper().split():
            await self.stream.send("text", word + "! ")


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def wait_until_ready(url, process, log):
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx2.get(f"{url}/ready", timeout=2).status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail(f"tollway up did not become ready:\n{log.read_text()[-3000:]}")


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """The address of a running Tollway."""
    folder = tmp_path_factory.mktemp("live")
    log, port = folder / "tollway.log", free_port()
    agent = publish_agent_api(
        Shouter(), "run", APIPublisherConfig(path="/v1", model_name="shouter", strict_openai=True)
    )
    with Served(agent) as served, log.open("wb") as output:
        config = folder / "tollway.yaml"
        config.write_text(CONFIG.format(agent=served.url))
        (folder / "my_tools.py").write_text(TOOLS)
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TOLLWAY_")}
        process = subprocess.Popen(
            [
                str(Path(sys.executable).with_name("tollway")),
                "up",
                "--port",
                str(port),
                "--config",
                config,
                "--data",
                folder / "data",
            ],
            cwd=folder,
            env={**clean, "TOLLWAY_ADMIN_TOKEN": TOKEN, "PYTHONPATH": str(ROOT / "sdk" / "src")},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until_ready(f"http://127.0.0.1:{port}", process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)


@pytest.fixture(autouse=True)
def as_client_of_live(live, monkeypatch):
    monkeypatch.setenv("TOLLWAY_URL", live)
    monkeypatch.setenv("TOLLWAY_ADMIN_TOKEN", TOKEN)


def eventually(read, wanted, seconds=20):
    end = time.monotonic() + seconds
    while (found := read()) != wanted and time.monotonic() < end:
        time.sleep(0.1)
    assert found == wanted


def test_records_reach_the_ledger_once_with_the_ledgers_price():
    monitor = get_usage_monitor()
    record = record_ai_usage("qwen-plus", "实时分析", 2000, 700, 1234.5, session_id="live-1", user_id="live-user")
    monitor.book(record)
    eventually(lambda: dict(monitor.get_session_stats("live-1")), {"calls": 1, "tokens": 2700, "cost": 0.0022})
    with TollwayClient() as client:
        (event,) = client.usage.events(session_id="live-1")
    assert (event.event_id, event.function, event.status) == (record["event_id"], "实时分析", "ok")
    assert event.unpriced is False


def test_failures_and_unknown_usage_are_taken_as_they_are():
    monitor = get_usage_monitor()

    @track_ai_usage("failing", "qwen-plus", session_id="live-2")
    def fail():
        raise ConnectionError("no route")

    with pytest.raises(ConnectionError):
        fail()
    record_ai_usage("nobody-knows-this-model", "f", 10, 5, session_id="live-2")
    eventually(lambda: monitor.get_session_stats("live-2")["calls"], 2)
    with TollwayClient() as client:
        unknown, failed = sorted(
            client.usage.events(session_id="live-2"), key=lambda event: event.success, reverse=True
        )
    assert (failed.error_msg, failed.input_tokens, failed.usage_source) == ("ConnectionError: no route", None, "none")
    assert (unknown.cost, unknown.unpriced) == (None, True)


def test_every_statistic_of_the_monitor_is_answered():
    record_ai_usage("qwen-max", "f", 1000, 500, user_id="statistics", session_id="live-3")
    monitor = get_usage_monitor()
    eventually(lambda: monitor.get_session_stats("live-3")["calls"], 1)
    daily = monitor.get_daily_summary()
    assert daily.by_model["qwen-max"]["cost"] / daily.by_model["qwen-max"]["calls"] == 0.05
    assert daily.total_cost >= 0.05
    assert monitor.get_hourly_summary(0).period == "hourly"
    assert monitor.get_monthly_summary().total_calls >= 1
    assert "statistics" in [user["user_id"] for user in monitor.get_top_users(limit=100, days=1)]
    assert len(monitor.get_cost_trend(days=7)) == 7
    assert monitor.get_current_stats().today.calls >= 1
    assert b"total_cost" in monitor.export_report(days=1).read_bytes()


def test_the_typed_queries_are_answered():
    with TollwayClient() as client:
        usage = client.usage
        assert usage.current().today.calls >= 0
        assert usage.breakdown("model", 7).by == "model"
        for query in (usage.forecast, usage.advice, usage.budgets, usage.prices, usage.health, usage.dashboard):
            assert query()
        assert usage.download_report(usage.export_report(1, "csv")).startswith(b"event_id")


async def test_the_demo_model_answers_and_calls_tools():
    llm = OpenAILike(model_name="demo")
    answer = await llm.acall("hello", session_id="live-4")
    assert len([chunk async for chunk in answer]) > 1
    assert answer.usage["total_tokens"] > 0
    await llm.aclose()


def test_an_agent_behind_the_gateway_is_a_model_like_any_other(live):
    with openai.OpenAI(base_url=f"{live}/v1", api_key=TOKEN, max_retries=0) as client:
        ask = {"model": "my-agent", "messages": [{"role": "user", "content": "hello there"}]}
        whole = client.chat.completions.create(**ask)
        assert whole.choices[0].message.content == "HELLO! THERE! "
        streamed = client.chat.completions.create(**ask, stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in streamed if chunk.choices) == "HELLO! THERE! "
        assert "my-agent" in [model.id for model in client.models.list()]


def test_the_workers_run_the_librarys_tools_and_handlers(live):
    headers = {"authorization": f"Bearer {TOKEN}"}
    offered = {tool["name"]: tool for tool in httpx2.get(f"{live}/api/tools", headers=headers).json()["tools"]}
    assert offered["python__search_notes"]["description"] == "Searches the notes."
    assert offered["python__search_notes"]["input_schema"]["required"] == ["query"]
    assert offered["python__speak"]["supports_streaming"] is True


async def test_the_gateway_calls_the_librarys_handler_for_a_model():
    llm = OpenAILike(model_name="demo")
    answer = await llm.acall("use python__speak", tollway={"tools": ["python__speak"]})
    assert "one two" in (await answer.read()).response
    await llm.aclose()


async def test_a_model_asks_for_the_agents_own_tool():
    @tool
    def what_time() -> str:
        """Tells the time."""
        return "noon"

    llm, registry = OpenAILike(model_name="demo"), ToolRegistry(what_time)
    memory = MemoryManager()
    memory.add_user("call what_time")
    answer = await llm.acall(memory.build_history(), tools=registry.get_all_tools())
    memory.add_assistant(answer)
    memory.add_tool_result(await ToolExecutor(registry).execute(answer))
    final = await (await llm.acall(memory.build_history())).read()
    assert "noon" in final.response
    await llm.aclose()


def test_a_report_job_from_order_to_file(tmp_path):
    with TollwayClient() as client:
        job = client.reports.create_token_report(
            "usd-coin", "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48", sample=True, insight=False, idempotency_key="live"
        )
        steps = list(client.reports.events(job.id))
        assert steps[-1].job.finished
        done = client.reports.wait(job.id, timeout=60)
        assert done.status == "succeeded"
        assert "<svg" in client.reports.save(done, tmp_path / "report.html").read_text()
        assert job.id in [known.id for known in client.reports.all()]
        client.reports.delete(job.id)


async def test_the_asynchronous_client_speaks_to_it_as_well():
    async with AsyncTollwayClient() as client:
        current, health = await asyncio.gather(client.usage.current(), client.usage.health())
    assert current.today.calls >= 0
    assert health


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(example, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(example)])
    runpy.run_path(str(example), run_name="__main__")
    assert capsys.readouterr().out.strip()
