"""Writes the dashboard: panels are listed here, Grafana's JSON is made of them. `python deploy/grafana/make.py`"""

import json
import pathlib

PANELS = [
    ("Calls per second by outcome", "sum by (outcome) (rate(tollway_requests_total[$__rate_interval]))", "reqps"),
    ("Share of failed calls by model", 'sum by (model) (rate(tollway_requests_total{outcome="error"}[$__rate_interval])) / clamp_min(sum by (model) (rate(tollway_requests_total[$__rate_interval])), 0.001)', "percentunit"),
    ("Time to first byte, p50 and p95", "histogram_quantile(0.5, sum by (le) (rate(tollway_time_to_first_byte_seconds_bucket[$__rate_interval]))) or histogram_quantile(0.95, sum by (le) (rate(tollway_time_to_first_byte_seconds_bucket[$__rate_interval])))", "s"),
    ("Time to first token by provider, p95", "histogram_quantile(0.95, sum by (le, provider) (rate(tollway_router_time_to_first_token_seconds_bucket[$__rate_interval])))", "s"),
    ("Attempts per second by provider and outcome", "sum by (provider, outcome) (rate(tollway_router_attempts_total[$__rate_interval]))", "reqps"),
    ("Answers being given", "sum by (kind) (tollway_requests_in_flight)", "short"),
    ("Tokens per second by kind", "sum by (kind) (rate(tollway_tokens_total[$__rate_interval]))", "short"),
    ("Not answered, by outcome", 'sum by (outcome) (rate(tollway_requests_total{outcome!="ok"}[$__rate_interval]))', "reqps"),
    ("Spend per hour by model", "sum by (model, currency) (rate(usage_cost_total[1h])) * 3600", "short"),
    ("Month forecast", "max by (quantile, currency) (usage_forecast_month_cost)", "short"),
    ("Budgets used", "max by (budget) (usage_budget_used_ratio)", "percentunit"),
    ("Events booked per second", "sum by (result) (rate(usage_events_total[$__rate_interval]))", "short"),
    ("Ingest lag, p95", "histogram_quantile(0.95, sum by (le) (rate(usage_ingest_lag_seconds_bucket[$__rate_interval])))", "s"),
    ("Waiting to be booked", "max(usage_queue_events) or max(usage_spool_events)", "short"),
    ("Trust: gaps, drift, quarantine", "max(usage_sequence_gaps) or max(usage_rollup_drift_events) or max(usage_quarantine_events)", "short"),
    ("Tool calls per second by server and status", "sum by (server, status) (rate(tollway_tool_calls_total[$__rate_interval]))", "reqps"),
    ("Frames dropped", "sum by (provider) (rate(tollway_router_dropped_frames_total[$__rate_interval]))", "short"),
    ("Prompt cache", "sum by (result) (rate(tollway_prompt_cache_total[$__rate_interval]))", "reqps"),
]  # fmt: skip


def panel(number, title, expression, unit):
    return {
        "id": number + 1,
        "title": title,
        "type": "timeseries",
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "gridPos": {"h": 8, "w": 8, "x": number % 3 * 8, "y": number // 3 * 8},
        "fieldConfig": {"defaults": {"unit": unit, "custom": {"lineWidth": 1, "fillOpacity": 8}}, "overrides": []},
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom"},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [{"refId": chr(65 + index), "expr": each} for index, each in enumerate(expression.split(" or "))],
    }


def dashboard():
    return {
        "uid": "tollway",
        "title": "Tollway",
        "tags": ["tollway"],
        "timezone": "browser",
        "schemaVersion": 41,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [
                {
                    "name": "datasource",
                    "type": "datasource",
                    "query": "prometheus",
                    "current": {"text": "Prometheus", "value": "prometheus"},
                }
            ]
        },
        "panels": [panel(number, *each) for number, each in enumerate(PANELS)],
    }


if __name__ == "__main__":
    path = pathlib.Path(__file__).parent / "dashboards" / "tollway.json"
    path.write_text(json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n")
