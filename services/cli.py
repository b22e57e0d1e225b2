"""The `tollway` command: run services, check a configuration, and use the HTTP surfaces from a terminal."""

import importlib
import os
import sys
from collections.abc import Sequence

from services import cli_arguments
from shared.arguments import Refused

# A verb loads what it needs: `--help` and a question to the server do not wait for the libraries of five services.
VERBS = {
    "up": "cli_run",
    "serve": "cli_run",
    "check": "cli_check",
    "keys": "cli_client",
    "usage": "cli_client",
    "prices": "cli_client",
    "report": "cli_report",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, run, exit."""
    options = cli_arguments.parse(sys.argv[1:] if arguments is None else arguments)
    try:
        module = importlib.import_module(f"services.{VERBS[options.verb]}")
        code = getattr(module, options.verb)(options)
    except Refused as refused:
        print(f"tollway: {refused}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:  # the reader (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)
