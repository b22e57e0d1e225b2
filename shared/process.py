"""One service as a process: its command line, its settings and configuration, several workers if asked for."""

import argparse
import importlib
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import uvloop

from shared import arguments, log, telemetry
from shared.arguments import Refused
from shared.config import ConfigFault, LiveConfig
from shared.service import Part, Plan, Resources, run
from shared.settings import Settings, SettingsFault, read_settings
from shared.supervisor import supervise

ComposeOne = Callable[[Resources], Awaitable[Part]]
WITH_DATABASE = ("gateway", "usage", "reports")


def main(service: str) -> None:
    """`python -m services.<service>`: parse, run, exit."""
    parser = argparse.ArgumentParser(prog=f"python -m services.{service}")
    arguments.listening(parser)
    arguments.multiplying(parser)
    try:
        code = serve(service, parser.parse_args())
    except Refused as refused:
        sys.stderr.write(f"tollway: {refused}\n")
        code = 1
    sys.exit(code)


def serve(service: str, options: argparse.Namespace) -> int:
    """One service, in this process or in several workers; returns the exit code."""
    settings = settings_of(options)
    workers = _workers(options.workers)
    host, port = settings.host, settings.port_of(service)
    config = config_of(settings)
    if workers > 1 and options.listener is None:
        return supervise(service, workers, host, port, _again(options))
    compose_one: ComposeOne = importlib.import_module(f"services.{service}.app").compose

    async def compose(resources: Resources) -> Sequence[Part]:
        return [await compose_one(resources)]

    listener = None
    if options.listener is not None:
        listener = socket.socket(fileno=options.listener)
        listener.settimeout(0)
    return start(Plan(service, compose, service in WITH_DATABASE, host, port, listener), settings, config)


def start(plan: Plan, settings: Settings, config: LiveConfig) -> int:
    """Run a plan on a fresh event loop."""
    json = None if settings.log_format == "auto" else settings.log_format == "json"
    log.configure(json=json, debug=settings.debug)
    telemetry.configure(settings, plan.name)
    return uvloop.run(run(plan, settings, config))


def settings_of(options: argparse.Namespace) -> Settings:
    """The settings, with what the command line says; raises Refused."""
    try:
        return read_settings(
            host=options.host,
            port=options.port,
            config=Path(options.config) if options.config else None,
            data=Path(options.data) if options.data else None,
            insecure=options.insecure,
        )
    except SettingsFault as fault:
        raise Refused(str(fault)) from fault


def config_of(settings: Settings) -> LiveConfig:
    """The configuration; raises Refused with every fault."""
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


def _again(options: argparse.Namespace) -> list[str]:
    """The command line of a worker: the supervisor's own options."""
    given: list[str] = []
    for name in ("host", "port", "config", "data"):
        if (value := getattr(options, name)) is not None:
            given += [f"--{name}", str(value)]
    return [*given, "--insecure"] if options.insecure else given
