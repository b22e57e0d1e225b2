"""`tollway report`: a token report made here, without a server."""

import argparse
import importlib


def report(options: argparse.Namespace) -> int:
    """Exit codes: 0 ok, 2 usage, 3 token and address do not belong together, 4 no data, 5 partial with --strict."""
    # Imported here alone: building a report loads libraries that no other verb should wait for.
    code: int = importlib.import_module("services.reports.command").run_cli(options)
    return code
