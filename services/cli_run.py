"""`tollway up` and `tollway serve`: settings and configuration first, then the runner."""

import argparse
import importlib
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import uvloop
from pydantic import ValidationError

from shared import log, telemetry
from shared.config import Config, ConfigFault, LiveConfig
from shared.service import Part, Plan, Refused, Resources, run
from shared.settings import Settings, read_settings
from shared.supervisor import supervise

WITH_DATABASE = ("gateway", "usage", "reports")


def up(options: argparse.Namespace) -> int:
    """All five services in one process."""
    settings = _settings(options)
    config = _config(settings)
    compose = importlib.import_module("services.all_in_one").compose
    plan = Plan(
        name="tollway",
        compose=compose,
        database=True,
        host=settings.host,
        port=settings.port_of("gateway"),
        announce=lambda port: _first_steps(settings, config.current, port),
    )
    return _run(plan, settings, config)


def serve(options: argparse.Namespace) -> int:
    """One service, in this process or in several workers."""
    settings = _settings(options)
    workers = _workers(options.workers)
    host, port = settings.host, settings.port_of(options.service)
    if workers > 1 and options.listener is None:
        return supervise(options.service, workers, host, port, settings.data, sys.argv[1:])
    config = _config(settings)
    module = importlib.import_module(f"services.{options.service}.app")

    async def compose(resources: Resources) -> Sequence[Part]:
        return [await module.compose(resources)]

    listener = socket.socket(fileno=options.listener) if options.listener is not None else None
    if listener is not None:
        listener.settimeout(0)
    plan = Plan(options.service, compose, options.service in WITH_DATABASE, host, port, listener)
    return _run(plan, settings, config)


def _run(plan: Plan, settings: Settings, config: LiveConfig) -> int:
    json = None if settings.log_format == "auto" else settings.log_format == "json"
    log.configure(json=json, debug=settings.debug)
    telemetry.configure(settings, plan.name)
    return uvloop.run(run(plan, settings, config))


def _settings(options: argparse.Namespace) -> Settings:
    try:
        return read_settings(
            host=options.host,
            port=options.port,
            config=Path(options.config) if options.config else None,
            data=Path(options.data) if options.data else None,
            insecure=options.insecure,
        )
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
        raise Refused("; ".join(lines)) from error


def _config(settings: Settings) -> LiveConfig:
    try:
        return LiveConfig.open(settings)
    except ConfigFault as fault:
        where = settings.config_path or "the environment"
        raise Refused(f"{where} cannot be used\n" + "\n".join(f"  {item}" for item in fault.faults)) from fault


def _workers(text: str) -> int:
    if text == "auto":
        return min(2 * (os.cpu_count() or 1) + 1, 8)
    if not text.isdigit() or not 1 <= int(text) <= 64:
        raise Refused(f"--workers takes a number from 1 to 64 or auto, not {text!r}")
    return int(text)


def _first_steps(settings: Settings, config: Config, port: int) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{'127.0.0.1' if settings.open_to_all else host}:{port}"
    model = next(iter(config.models), "demo") if not config.demo else "demo"
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
