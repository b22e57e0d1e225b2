"""What the command line takes."""

import argparse
from collections.abc import Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TypeAlias

from shared.arguments import listening, multiplying

BREAKDOWNS = ("model", "function", "user", "key", "anchor", "provider")
USAGE = {
    "current": "this hour and today",
    "hourly": "one hour (--hours-ago)",
    "daily": "one day (--days-ago)",
    "monthly": "one month (--year, --month)",
    "session": "one session (--session-id)",
    "top": "the users who cost most (--days, --limit)",
    "trend": "the cost of every day (--days)",
    "breakdown": "every name of one dimension, the dearest first (--by, --days)",
    "events": "single calls, the newest first (--request-id, --session-id, --limit)",
    "forecast": "what this month will cost, with its range and how well the method did before",
    "advice": "ways to spend less",
    "budgets": "the configured limits and the last alerts",
    "health": "whether the numbers can be trusted",
    "dashboard": "everything the first screen shows (--days)",
    "export": "a report as a file (--days, or --from and --to; --format, --out)",
    "proof": "compare all sums with the events, now (--days, --repair)",
}
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
    listening(up)


def _serve(verbs: _Verbs) -> None:
    serve = verbs.add_parser("serve", help="one service")
    serve.add_argument("service", choices=SERVICES)
    listening(serve)
    multiplying(serve)


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
        create.add_argument(f"--{name}", type=_amount, help="in usage.currency")
    create.add_argument("--expires-at", help="ISO 8601, e.g. 2027-01-31T00:00:00Z")
    listing = actions.add_parser("list")
    listing.add_argument("--json", action="store_true")
    revoke = actions.add_parser("revoke")
    revoke.add_argument("id")


def _usage(verbs: _Verbs) -> None:
    usage = verbs.add_parser(
        "usage",
        help="what was used and what it cost",
        description="What was used and what it cost, as JSON. WHAT is one of:\n\n"
        + "\n".join(f"  {name:10} {told}" for name, told in USAGE.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    usage.add_argument("what", nargs="?", default="current", choices=tuple(USAGE), metavar="WHAT", help="(current)")
    usage.add_argument("--days", type=int, metavar="N", help="the last N days, today included (7; proof: all)")
    usage.add_argument("--from", dest="first", type=_day, metavar="YYYY-MM-DD", help="export: its first day")
    usage.add_argument("--to", dest="last", type=_day, metavar="YYYY-MM-DD", help="export: its last day (today)")
    usage.add_argument("--hours-ago", type=int, default=0, metavar="N", help="hourly: 0 is the running hour")
    usage.add_argument("--days-ago", type=int, default=0, metavar="N", help="daily: 0 is today")
    usage.add_argument("--year", type=int, metavar="YYYY", help="monthly: this one when not given")
    usage.add_argument("--month", type=int, metavar="1-12", help="monthly: this one when not given")
    usage.add_argument("--by", default="model", choices=BREAKDOWNS, help="breakdown: by what (model)")
    usage.add_argument("--limit", type=int, default=20, metavar="N", help="top and events: how many (20)")
    usage.add_argument("--request-id", metavar="ID", help="events: the attempts of one answer, by its x-request-id")
    usage.add_argument("--session-id", metavar="ID", help="session, events: of which session")
    usage.add_argument("--format", default="json", choices=("json", "csv", "html"), help="export: which (json)")
    usage.add_argument("--out", metavar="FILE", help="export: where to write it (its own name, in this folder)")
    usage.add_argument("--repair", action="store_true", help="proof: put right what differs")


def _prices(verbs: _Verbs) -> None:
    prices = verbs.add_parser(
        "prices",
        help="show, add and re-price",
        description="Prices per 1,000 tokens. Without an ACTION they are shown.",
    )
    actions = prices.add_subparsers(dest="action", metavar="ACTION")
    actions.add_parser("list", help="prices in force, models without one, and exchange rates")
    add = actions.add_parser("add", help="a price per 1,000 tokens from a date on")
    add.add_argument("model", help="the name that answers, or the one that clients ask for")
    add.add_argument("--input", required=True, type=_amount, metavar="AMOUNT", help="per 1,000 input tokens")
    add.add_argument("--output", required=True, type=_amount, metavar="AMOUNT", help="per 1,000 output tokens")
    add.add_argument("--cache-read", type=_amount, metavar="AMOUNT", help="tokens read from a cache (as input)")
    add.add_argument("--cache-write", type=_amount, metavar="AMOUNT", help="tokens written to a cache (as input)")
    add.add_argument("--reasoning", type=_amount, metavar="AMOUNT", help="reasoning tokens (as output)")
    add.add_argument("--currency", metavar="CNY", help="its currency (usage.currency)")
    add.add_argument("--provider", metavar="NAME", help="only at this provider")
    add.add_argument("--display-name", metavar="NAME", help="what pages call the model")
    add.add_argument("--valid-from", type=_day, metavar="YYYY-MM-DD", help="its first day (holds for all time)")
    rate = actions.add_parser("rate", help="an exchange rate from a day on")
    rate.add_argument("source", metavar="FROM", help="for example USD")
    rate.add_argument("target", metavar="TO", help="for example CNY")
    rate.add_argument("rate", type=_amount, help="how many of TO one of FROM is worth")
    rate.add_argument("--valid-from", type=_day, metavar="YYYY-MM-DD", help="its first day (today)")
    reprice = actions.add_parser(
        "reprice",
        help="what a period costs at today's prices; --apply books the difference",
        description="Events stay as they were booked; the difference is booked as signed corrections, those of closed "
        "months in the open one.",
    )
    reprice.add_argument("--from", dest="start", required=True, type=_day, metavar="YYYY-MM-DD", help="first day")
    reprice.add_argument("--to", dest="end", required=True, type=_day, metavar="YYYY-MM-DD", help="last day")
    reprice.add_argument("--model", help="this one alone")
    reprice.add_argument("--apply", action="store_true", help="book it; without this nothing is changed")
    corrections = actions.add_parser("corrections", help="what re-pricings changed, the newest first")
    corrections.add_argument("--run-id", metavar="ID", help="of one re-pricing")
    corrections.add_argument("--limit", type=int, default=20, metavar="N", help="how many (20)")


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date (YYYY-MM-DD)") from None


def _amount(text: str) -> str:
    try:
        if (amount := Decimal(text)).is_finite() and amount >= 0:
            return format(amount, "f")
    except InvalidOperation:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is no amount of money")


def _report(verbs: _Verbs) -> None:
    report = verbs.add_parser("report", help="a report about a crypto token, by the server or here")
    report.add_argument("token", nargs="?", help="its id, e.g. usd-coin")
    report.add_argument("address", nargs="?", help="its contract address")
    report.add_argument("--chain", default="ethereum")
    report.add_argument("--days", type=int, default=90)
    report.add_argument("--sample", action="store_true", help="the packaged synthetic data, no network")
    report.add_argument("--out", default=".", help="folder to write to")
    report.add_argument("--format", help="comma-separated: html (default), json, pdf, csv, png")
    report.add_argument("--sections", metavar="A,B", help="these chapters alone, e.g. risk,liquidity,security")
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
        "--verify", metavar="FILE", help="is this report, each number of a JSON, what the ZIP comes to?"
    )
    report.add_argument("--fact", action="append", default=[], metavar="ID", help="with --verify: this number alone")
    report.add_argument(
        "--provider-base", action="append", default=[], metavar="NAME=URL", help="made here, a data API at that address"
    )
    report.add_argument("--language", default="en", choices=("en", "zh"))
    report.add_argument("--strict", action="store_true", help="exit 5 when a source was missing")
    report.add_argument("--config", help="configuration file to make it here with (default ./tollway.yaml if present)")
    report.add_argument("-v", "--verbose", action="store_true")
