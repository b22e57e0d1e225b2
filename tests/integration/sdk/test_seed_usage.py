"""Every example of the usage document runs with only its import lines changed, on local files and with a Tollway.

The Tollway is shared with other tests, so what an example says is compared with what was booked before it.
"""

import inspect
import json
import logging
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import openai
import pytest
from tollway import ModelPricing, get_usage_monitor, record_ai_usage

from tests.integration.sdk.seed import block, blocks, run

DOCUMENT = "usage.txt"


def example(containing):
    return block(DOCUMENT, containing)


class Asked:
    """An AI client whose answer is always the same; the examples write `...` where messages belong."""

    def __init__(self):
        usage = SimpleNamespace(prompt_tokens=2000, completion_tokens=700, total_tokens=2700)
        answer = SimpleNamespace(usage=usage, model="qwen-plus")
        create = lambda *args, **kwargs: answer  # noqa: E731
        self.chat = SimpleNamespace(completions=SimpleNamespace(create=create))


@pytest.fixture(params=["local", "server"])
def monitor(request):
    """Both places where records can go."""
    if request.param == "server":
        request.getfixturevalue("as_client")
    return get_usage_monitor()


def spend(times=1, **labels):
    for _ in range(times):
        record_ai_usage(
            **{"model": "qwen-max", "function": "分析", "input_tokens": 1000, "output_tokens": 500, **labels}
        )


def test_every_python_block_of_the_document_is_known():
    assert len(blocks(DOCUMENT)) == 16


NONE = {"calls": 0, "total_tokens": 0, "cost": 0}


def test_method_a_the_decorator(monitor):
    before = monitor.get_daily_summary().by_model.get("qwen-plus", NONE)
    scope = run(example("@track_ai_usage"), ai_client=Asked())
    assert scope["generate_analysis"]("context").usage.total_tokens == 2700
    after = monitor.get_daily_summary().by_model["qwen-plus"]
    assert (after["calls"] - before["calls"], after["total_tokens"] - before["total_tokens"]) == (1, 2700)
    assert after["cost"] - before["cost"] == pytest.approx(0.0022, abs=1e-12)


def test_method_a_with_the_openai_sdk_through_tollway(live):
    text = example("@track_ai_usage").replace("[...]", '[{"role": "user", "content": "你好"}]')
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key="any") as client:
        answer = run(text, ai_client=client)["generate_analysis"]("context")
    assert answer.choices[0].message.content.endswith("You said: 你好")
    (record,) = get_usage_monitor().journal.everything()
    assert (record["model"], record["function"]) == ("qwen-plus", "实时分析")
    assert record["total_tokens"] == answer.usage.total_tokens > 0


def test_method_b_by_hand(monitor):
    before = monitor.get_session_stats("session_456")
    run(example("start_time = time.time()"), ai_client=Asked())
    after = monitor.get_session_stats("session_456")
    assert (after["calls"] - before["calls"], after["tokens"] - before["tokens"]) == (1, 2700)
    assert after["cost"] - before["cost"] == pytest.approx(0.0022, abs=1e-12)


def test_the_formula():
    formula = example("费用 = ").replace("输入Token", "输入").replace("输出Token", "输出")
    paid = run(formula, 输入=2000, 输出=700, 输入价格=0.0004, 输出价格=0.002)["费用"]
    assert record_ai_usage("qwen-plus", "f", 2000, 700)["cost"] == pytest.approx(paid, abs=1e-12)


def test_custom_prices(monkeypatch):
    written = run(example("class ModelPricing"))["ModelPricing"].CUSTOM_PRICING
    assert record_ai_usage("my-model", "f", 1000, 1000)["cost"] is None
    monkeypatch.setattr(ModelPricing, "CUSTOM_PRICING", written)
    assert record_ai_usage("my-model", "f", 1000, 1000)["cost"] == 0.04
    assert ModelPricing.display_name("my-model") == "我的自定义模型"


def test_session_statistics(monitor, capsys):
    assert monitor.get_session_stats("session_123")["calls"] == 0
    spend(2, session_id="session_123")
    spend(session_id="another")
    run(example('monitor.get_session_stats("session_123")'))
    assert capsys.readouterr().out.splitlines() == [
        "会话调用次数: 2",
        "会话Token消耗: 3000",
        "会话总费用: ¥0.1000",
    ]


def test_other_spans_of_time(monitor):
    spend()
    summary = run(example("# 2小时前"), monitor=monitor)["summary"]
    assert summary.period in ("monthly", "hourly", "daily")
    assert {"total_calls", "total_tokens", "total_cost", "by_model"} <= set(summary)


def test_a_report_at_a_given_path(monitor):
    before = monitor.get_daily_summary().total_calls
    spend(3)
    run(example('Path("reports")'), monitor=monitor)
    assert json.loads((Path("reports") / "monthly_usage.json").read_text())["total_calls"] == before + 3


@pytest.mark.parametrize("calls", [1, 1001])
def test_a_budget_warning(monitor, calls):
    sent = []
    spend(calls)
    cost = monitor.get_daily_summary().total_cost
    run(example("daily_summary.total_cost > 50"), monitor=monitor, send_alert=sent.append)
    assert sent == ([f"今日AI费用已超 ¥50: ¥{cost}"] if cost > 50 else [])
    assert cost > 50 or calls == 1


def test_a_users_limit(monitor):
    told = []
    spend(30, user_id="small")
    spend(1, user_id="big", input_tokens=4_000_000, output_tokens=1_000_000)
    run(
        example("monitor.get_top_users(limit=100, days=30)"),
        monitor=monitor,
        notify_user=lambda *said: told.append(said),
    )
    assert ("big", "您的AI额度即将用尽") in told
    assert "small" not in dict(told)


def test_caching_and_batching_are_plain_python():
    lines = [f"    {line}" for line in example("analysis_cache").splitlines()]
    text = "def look_up(anchor_id, hour_timestamp, analysis_cache):\n" + "\n".join(lines)
    assert run(text)["look_up"]("a", 1, {"a_1": "cached"}) == "cached"
    run(example("# 减少调用次数"))


def test_the_weekly_audit(monitor, monkeypatch):
    jobs, sent = [], []
    every = SimpleNamespace(monday=SimpleNamespace(at=lambda when: SimpleNamespace(do=jobs.append)))
    schedule = ModuleType("schedule")
    schedule.every = lambda: every
    monkeypatch.setitem(sys.modules, "schedule", schedule)
    before = monitor.get_daily_summary().total_calls
    spend(2)
    run(example("import schedule"), monitor=monitor, send_email_to_admin=sent.append)
    jobs[0]()
    assert json.loads(Path(sent[0]).read_text())["total_calls"] == before + 2


def test_case_one_a_stream_of_six_hours(monitor, capsys):
    before = monitor.get_daily_summary()
    spend(540, input_tokens=1500, output_tokens=733)
    run(example("# 假设：每分钟分析"), monitor=monitor)
    assert capsys.readouterr().out.splitlines() == [
        f"总调用: {before.total_calls + 540}",
        f"总Token: {before.total_tokens + 1_205_820:,}",
        f"总费用: ¥{before.total_cost + 39.9492:.2f}",
    ]


def test_case_two_the_months_cost(monitor, capsys):
    spend()
    run(example("avg_daily"), monitor=monitor)
    assert all(": ¥" in line for line in capsys.readouterr().out.splitlines())
    trend = monitor.get_cost_trend(days=7)
    assert [list(point) for point in trend] == [["date", "cost"]] * 7
    assert trend == sorted(trend, key=lambda point: point["date"])


def test_case_three_choosing_a_model(monitor, capsys):
    spend(model="qwen-plus", input_tokens=10_000, output_tokens=2_100)
    spend(model="qwen-turbo", input_tokens=10_000, output_tokens=1_833)
    run(example("avg_cost_per_call"), monitor=monitor)
    printed = dict(line.split(": ") for line in capsys.readouterr().out.splitlines())
    today = monitor.get_daily_summary().by_model
    assert printed == {name: f"平均 ¥{part['cost'] / part['calls']:.4f}/次" for name, part in today.items()}
    assert printed["qwen-turbo"] == "平均 ¥0.0041/次"


def test_verbose_logging():
    run(example("logging.DEBUG"))
    assert logging.getLogger("server.utils.ai_usage_monitor").level == logging.DEBUG


def test_the_files_are_the_documents(records):
    record_ai_usage(
        "qwen-plus", "实时分析", 2000, 700, 1234.5, user_id="user_001", anchor_id="anchor_123", session_id="session_456"
    )
    (path,) = records.iterdir()
    assert path.name == f"usage_{time.strftime('%Y-%m-%d')}.jsonl"
    record = json.loads(path.read_text())
    assert {name: record[name] for name in list(record)[1:13]} == {
        "user_id": "user_001",
        "anchor_id": "anchor_123",
        "session_id": "session_456",
        "model": "qwen-plus",
        "function": "实时分析",
        "input_tokens": 2000,
        "output_tokens": 700,
        "total_tokens": 2700,
        "cost": 0.0022,
        "duration_ms": 1234.5,
        "success": True,
        "error_msg": None,
    }
    assert get_usage_monitor().export_report(days=7).name.startswith("usage_report_")


def test_the_seeds_signature_of_record():
    names = set(inspect.signature(record_ai_usage).parameters)
    assert {
        "model",
        "function",
        "input_tokens",
        "output_tokens",
        "duration_ms",
        "success",
        "anchor_id",
        "session_id",
    } <= names
