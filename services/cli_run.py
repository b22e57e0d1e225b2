"""`tollway up` and `tollway serve`."""

import argparse
import importlib
import secrets

from pydantic import SecretStr

from shared import process
from shared.config import Config
from shared.service import Plan
from shared.settings import Settings


def up(options: argparse.Namespace) -> int:
    """All five services in one process."""
    settings = _with_inner_secret(process.settings_of(options))
    config = process.config_of(settings)
    plan = Plan(
        name="tollway",
        # Imported here alone: `tollway keys` and its like should not wait for five services.
        compose=importlib.import_module("services.all_in_one").compose,
        database=True,
        host=settings.host,
        port=settings.port_of("gateway"),
        announce=lambda port: _first_steps(settings, config.current, port),
    )
    return process.start(plan, settings, config)


def _with_inner_secret(settings: Settings) -> Settings:
    """Within one process nobody else can know the token with which its parts vouch for callers."""
    if settings.internal_token is not None:
        return settings
    return settings.model_copy(update={"internal_token": SecretStr(secrets.token_urlsafe(32))})


def serve(options: argparse.Namespace) -> int:
    """One service."""
    return process.serve(options.service, options)


def _first_steps(settings: Settings, config: Config, port: int) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{'127.0.0.1' if settings.open_to_all else host}:{port}"
    model = "demo" if config.demo else next(iter(config.models), "auto")
    key = "" if settings.token is None else " -H 'Authorization: Bearer YOUR_TOKEN'"
    asked = f'{{"model": "{model}", "stream": true, "messages": [{{"role": "user", "content": "Hello!"}}]}}'
    print(
        f"\nTollway is up on {url}\n\n"
        f"  Try it:      curl -N {url}/v1/chat/completions -H 'Content-Type: application/json'{key} \\\n"
        f"                 -d '{asked}'\n"
        f"  Dashboard:   {url}/static/ai_usage_monitor.html\n"
        f"  API docs:    {url}/docs\n",
        flush=True,
    )
