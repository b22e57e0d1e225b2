"""The library's monitor, client, models and tools against a running Tollway."""

import asyncio
import json
import time

import httpx2
import openai
import pytest
from tollway import get_usage_monitor, record_ai_usage, track_ai_usage
from tollway.client import AsyncTollwayClient, TollwayClient
from tollway.memory import MemoryManager
from tollway.models import OpenAILike
from tollway.tools import ToolExecutor, ToolRegistry, tool

pytestmark = pytest.mark.usefixtures("as_client")


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


def keys_of(figures):
    """The names of all members, however deep; rows of a list have those of the first."""
    if isinstance(figures, list):
        return keys_of(figures[0]) if figures else set()
    if not isinstance(figures, dict):
        return set()
    return {name: keys_of(value) for name, value in figures.items()}


def missing(wanted, found, place=""):
    """What the first has and the second has not."""
    for name, inner in wanted.items() if isinstance(wanted, dict) else ():
        if name not in found:
            yield f"{place}/{name}"
        else:
            yield from missing(inner, found[name], f"{place}/{name}")


def test_the_server_answers_with_everything_the_local_files_would(records, monkeypatch):
    def told():
        monitor = get_usage_monitor()
        record_ai_usage("qwen-max", "shapes", 1000, 500, user_id="shapes", session_id="shapes")
        figures = {
            "current": monitor.get_current_stats(),
            "session": monitor.get_session_stats("shapes"),
            "hourly": monitor.get_hourly_summary(),
            "daily": monitor.get_daily_summary(),
            "monthly": monitor.get_monthly_summary(),
            "users": monitor.get_top_users(),
            "trend": monitor.get_cost_trend(2),
            "report": json.loads(monitor.export_report(days=2).read_text()),
        }
        return keys_of(figures)

    of_server = told()
    monkeypatch.delenv("TOLLWAY_URL")
    assert list(missing(told(), of_server)) == []


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
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key=live.token, max_retries=0) as client:
        ask = {"model": "my-agent", "messages": [{"role": "user", "content": "hello there"}]}
        whole = client.chat.completions.create(**ask)
        assert whole.choices[0].message.content == "HELLO! THERE! "
        streamed = client.chat.completions.create(**ask, stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in streamed if chunk.choices) == "HELLO! THERE! "
        assert "my-agent" in [model.id for model in client.models.list()]


def test_the_workers_run_the_librarys_tools_and_handlers(live):
    headers = {"authorization": f"Bearer {live.token}"}
    offered = {tool["name"]: tool for tool in httpx2.get(f"{live.url}/api/tools", headers=headers).json()["tools"]}
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
