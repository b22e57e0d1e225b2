"""The `tollway` command: run services, check a configuration, and use the HTTP surfaces from a terminal."""

import os
import sys
from collections.abc import Sequence

from services import cli_arguments, cli_check, cli_client, cli_report, cli_run
from shared.service import Refused
from shared.settings import SettingsFault


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, run, exit."""
    options = cli_arguments.parse(sys.argv[1:] if arguments is None else arguments)
    verbs = {
        "up": cli_run.up,
        "serve": cli_run.serve,
        "check": cli_check.check,
        "keys": cli_client.keys,
        "usage": cli_client.usage,
        "prices": cli_client.prices,
        "report": cli_report.report,
    }
    try:
        code = verbs[options.verb](options)
    except (Refused, SettingsFault) as refused:
        print(f"tollway: {refused}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:  # the reader (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)
