"""What the command line takes."""

import argparse
from collections.abc import Sequence
from typing import TypeAlias

from shared import process

SERVICES = ("gateway", "router", "tools", "usage", "reports")
_Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 -- argparse names it so


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options; exits 2 with the usage when they make no sense."""
    parser = argparse.ArgumentParser(prog="tollway", description="One gate for every model.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    _up(verbs)
    _serve(verbs)
    _check(verbs)
    _keys(verbs)
    _usage(verbs)
    _prices(verbs)
    _report(verbs)
    return parser.parse_args(arguments)


def _up(verbs: _Verbs) -> None:
    up = verbs.add_parser("up", help="all five services in one process")
    process.listening(up)


def _serve(verbs: _Verbs) -> None:
    serve = verbs.add_parser("serve", help="one service")
    serve.add_argument("service", choices=SERVICES)
    process.listening(serve)
    process.multiplying(serve)


def _check(verbs: _Verbs) -> None:
    check = verbs.add_parser("check", help="validate a configuration and print what it would start")
    check.add_argument("--config", help="configuration file (default ./tollway.yaml if present)")


def _keys(verbs: _Verbs) -> None:
    keys = verbs.add_parser("keys", help="create, list and revoke client keys")
    actions = keys.add_subparsers(dest="action", required=True, metavar="ACTION")
    create = actions.add_parser("create", help="prints the key alone on stdout; it is shown this once")
    create.add_argument("--name", required=True)
    create.add_argument("--owner")
    for name in ("models", "tools"):
        create.add_argument(f"--{name}", help="comma-separated; all when not given")
    create.add_argument("--default-tools", help="comma-separated; offered when a request names none")
    for name in ("requests-per-minute", "tokens-per-minute"):
        create.add_argument(f"--{name}", type=int)
    for name in ("budget-per-day", "budget-per-month"):
        create.add_argument(f"--{name}", help="in usage.currency")
    create.add_argument("--expires-at", help="ISO 8601, e.g. 2027-01-31T00:00:00Z")
    listing = actions.add_parser("list")
    listing.add_argument("--json", action="store_true")
    revoke = actions.add_parser("revoke")
    revoke.add_argument("id")


def _usage(verbs: _Verbs) -> None:
    usage = verbs.add_parser("usage", help="what was used and what it cost")
    usage.add_argument(
        "what",
        nargs="?",
        default="current",
        choices=(
            "current",
            "hourly",
            "daily",
            "monthly",
            "session",
            "top",
            "trend",
            "breakdown",
            "events",
            "forecast",
            "advice",
            "budgets",
            "health",
            "dashboard",
            "export",
            "proof",
        ),
    )
    usage.add_argument("--days", type=int, default=7)
    usage.add_argument("--hours-ago", type=int, default=0)
    usage.add_argument("--days-ago", type=int, default=0)
    usage.add_argument("--year", type=int, help="this one when not given; so with --month")
    usage.add_argument("--month", type=int)
    usage.add_argument("--by", default="model")
    usage.add_argument("--limit", type=int, default=20)
    usage.add_argument("--request-id")
    usage.add_argument("--session-id")
    usage.add_argument("--format", default="json", choices=("json", "csv", "html"))
    usage.add_argument("--out", help="where export writes the file (default: its own name, here)")


def _prices(verbs: _Verbs) -> None:
    prices = verbs.add_parser("prices", help="show, add and re-price")
    actions = prices.add_subparsers(dest="action", metavar="ACTION")
    actions.add_parser("list")
    add = actions.add_parser("add", help="a price per 1,000 tokens from a date on")
    add.add_argument("model")
    add.add_argument("--input", required=True)
    add.add_argument("--output", required=True)
    for name in ("cache-read", "cache-write", "reasoning", "currency", "provider", "valid-from"):
        add.add_argument(f"--{name}")
    reprice = actions.add_parser("reprice", help="what a period costs at today's prices; --apply books the difference")
    reprice.add_argument("--from", dest="start", required=True, help="first day, YYYY-MM-DD")
    reprice.add_argument("--to", dest="end", required=True, help="last day, YYYY-MM-DD")
    reprice.add_argument("--model")
    reprice.add_argument("--apply", action="store_true")


def _report(verbs: _Verbs) -> None:
    report = verbs.add_parser("report", help="a report about a crypto token, by the server or here")
    report.add_argument("token", nargs="?", help="its id, e.g. usd-coin")
    report.add_argument("address", nargs="?", help="its contract address")
    report.add_argument("--chain", default="ethereum")
    report.add_argument("--days", type=int, default=90)
    report.add_argument("--sample", action="store_true", help="the packaged synthetic data, no network")
    report.add_argument("--out", default=".", help="folder to write to")
    report.add_argument("--format", help="comma-separated: html (default), json, pdf, csv, png")
    report.add_argument("--here", action="store_true", help="make it here, without asking the server at TOLLWAY_URL")
    text = report.add_mutually_exclusive_group()
    text.add_argument("--no-insight", action="store_true", help="no text written by a model")
    text.add_argument("--model", help="the model that writes the text (default: the configured one)")
    proof = report.add_mutually_exclusive_group()
    proof.add_argument(
        "--evidence", action="store_true", help="made here, with all that was fetched beside it as a zip"
    )
    proof.add_argument("--from-evidence", metavar="ZIP", help="the report of that zip again: same bytes, no network")
    report.add_argument(
        "--provider-base", action="append", default=[], metavar="NAME=URL", help="made here, a data API at that address"
    )
    report.add_argument("--language", default="en", choices=("en", "zh"))
    report.add_argument("--strict", action="store_true", help="exit 5 when a source was missing")
    report.add_argument("--config", help="configuration file to make it here with (default ./tollway.yaml if present)")
    report.add_argument("-v", "--verbose", action="store_true")
