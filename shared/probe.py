"""Asks the service in this container whether it is ready: what the image's health check runs."""

import sys
import urllib.request
from pathlib import Path

from shared.settings import PORTS, read_environment, settings_from


def main() -> int:
    """0 when ready, 1 when not."""
    environment = read_environment(Path.cwd())
    service = environment.get("TOLLWAY_SERVICE", "gateway")
    port = settings_from(environment).port or PORTS.get(service, 8080)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=3) as answer:
            return 0 if answer.status == 200 else 1
    except OSError:
        return 1


if __name__ == "__main__":
    sys.exit(main())
