"""`tollway check`: every fault of a configuration, a line each, or what it would start."""

import argparse
import sys
from pathlib import Path

from shared.config import Config, ConfigFault, load_config
from shared.settings import SettingsFault, read_settings


def check(options: argparse.Namespace) -> int:
    """0 when it is usable, 1 when not."""
    try:
        settings = read_settings(config=Path(options.config) if options.config else None)
    except SettingsFault as fault:
        print("\n".join(fault.faults), file=sys.stderr)
        return 1
    path = settings.config_path
    try:
        config = load_config(path, settings.environment)
    except ConfigFault as fault:
        for found in fault.faults:
            print(f"{path}: {found}" if path else str(found), file=sys.stderr)
        return 1
    _tell(config, path)
    return 0


def _tell(config: Config, path: Path | None) -> None:
    print(f"configuration: {path or 'built-in defaults'}")
    for name, provider in config.providers.items():
        state = f"{len(provider.keys)} key(s)" if provider.keys else "no key"
        print(f"provider {name}: {provider.protocol} at {provider.base_url or 'this process'}, {state}")
    if config.demo:
        print("model demo: built in")
    for name, model in config.models.items():
        targets = ", ".join(f"{target.provider}/{target.model}" for target in model.targets)
        after = f", then {', '.join(model.fallbacks)}" if model.fallbacks else ""
        print(f"model {name}: {targets}{after}")
    for source in config.tools.python:
        print(f"tools python: {source}")
    for name, server in config.tools.mcp.items():
        print(f"tools mcp {name}: {server.url or server.command[0]}")
    print(f"usage: {config.usage.currency}, {config.usage.timezone}, {len(config.usage.alerts)} alert(s)")
