"""Books calls of a model and shows what they cost.

Without TOLLWAY_URL the records go to records/ai_usage/usage_YYYY-MM-DD.jsonl, with it to that server.
"""

from tollway import get_usage_monitor, record_ai_usage, track_ai_usage, usage_labels


@track_ai_usage("live analysis", "qwen-plus")
def analyse(context: str) -> dict[str, object]:
    """Stands for a call of your model client: any OpenAI or Anthropic answer, stream or JSON will do."""
    return {"text": context.upper(), "usage": {"prompt_tokens": 2000, "completion_tokens": 700, "total_tokens": 2700}}


def main() -> None:
    with usage_labels(user_id="user_001", session_id="session_456"):
        analyse("two viewers asked for the price")
    record_ai_usage("qwen-max", "script", 1000, 500, duration_ms=1234.5, session_id="session_456")

    monitor = get_usage_monitor()
    monitor.flush()
    today = monitor.get_daily_summary()
    print(f"calls today: {today.total_calls}, cost ¥{today.total_cost:.4f}")
    for model, stats in today.by_model.items():
        print(f"  {model}: {stats['calls']} call(s), ¥{stats['cost']:.4f}")


if __name__ == "__main__":
    main()
