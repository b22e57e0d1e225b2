"""`tollway report TOKEN ADDRESS`: the same stages in this process, without a server, a queue or a database.

Progress goes to stderr, paths to stdout. Exit codes: 0 ok, 2 usage, 3 token and address do not belong together,
4 no data, 5 partial with --strict.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from services.reports.errors import BuildError, FieldInvalid, TokenMismatchError, TokenUnknownError
from services.reports.foreman import Foreman
from services.reports.identity import Badge
from services.reports.job import STAGES, Job
from services.reports.reach import BodyCache, DataTransport, GatewayModel, RemoteCaller
from services.reports.recipes import ANY_MODEL, NOTHING_KNOWN, Outcome, TokenRecipe
from services.reports.request import TOKEN_FORMATS, read
from services.reports.sources.base import Finding
from services.reports.sources.gather import Sources
from shared import clock
from shared.cache import make_cache
from shared.config import ConfigFault, LiveConfig
from shared.http_client import HttpClient
from shared.settings import Settings, read_settings

OK, USAGE, MISMATCH, NO_DATA, PARTIAL = 0, 2, 3, 4, 5


def request_of(options: argparse.Namespace) -> dict[str, Any] | None:
    """The request that the options make; None, and a line that says why, when they make none."""
    unknown = [form for form in options.format.split(",") if form not in TOKEN_FORMATS]
    if unknown:
        _say(f"tollway report: --format: {unknown[0]!r} is none of {', '.join(TOKEN_FORMATS)}")
        return None
    body = {
        "type": "token",
        "token": options.token,
        "address": options.address,
        "chain": options.chain,
        "days": options.days,
        "formats": options.format.split(","),
        "insight": not options.no_insight,
        "sample": options.sample,
        "language": options.language,
    }
    try:
        return read(body)
    except FieldInvalid as error:
        _say(f"tollway report: {error}")
        return None


def run_cli(request: dict[str, Any], options: argparse.Namespace) -> int:
    """Build one report here; never raises for what a user can cause."""
    try:
        settings = read_settings(config=options.config)
        config = LiveConfig.open(settings)
    except (ConfigFault, ValueError) as error:
        _say(f"tollway report: {error}")
        return USAGE
    return asyncio.run(_report(request, settings, config, options))


async def _report(request: dict[str, Any], settings: Settings, config: LiveConfig, options: argparse.Namespace) -> int:
    http, cache = HttpClient(), make_cache("memory://")
    section = config.current.reports
    recipe = TokenRecipe(
        Sources(DataTransport(http), BodyCache(cache), clock.monotonic, lambda: section.data_sources),
        Foreman(settings.environment),
        GatewayModel(RemoteCaller(http.session, settings.url), Badge(settings)),
        lambda: section.insight_model or ANY_MODEL,
    )
    verbose: bool = options.verbose
    job = Job("cli", "cli", "token", request, "")
    out = Path(options.out)
    try:
        with tempfile.TemporaryDirectory() as folder:
            made = await _stages(recipe, job, Path(folder), verbose=verbose)
            outcome = recipe.outcome(job, made)
            code = _verdict(outcome, strict=options.strict)
            if code != NO_DATA:
                await asyncio.to_thread(_deliver, job, Path(folder), out)
    except TokenMismatchError as error:
        _say(f"tollway report: {error}")
        return MISMATCH
    except TokenUnknownError as error:
        _say(f"tollway report: {error}")
        return NO_DATA
    except (BuildError, OSError) as error:
        _say(f"tollway report: {error}")
        return 1
    finally:
        await http.close()
    for warning in outcome.warnings:
        _say(f"warning: {warning}")
    return code


async def _stages(recipe: TokenRecipe, job: Job, folder: Path, *, verbose: bool) -> dict[str, bytes]:
    made: dict[str, bytes] = {}
    for stage, progress in STAGES["token"].items():
        if stage not in recipe.stages:
            continue
        started = clock.monotonic()
        made[stage] = await recipe.stages[stage](job, made, folder)
        took = f" {clock.monotonic() - started:.2f} s" if verbose else ""
        _say(f"[{progress:4.0%}] {stage}{took}")
        if verbose and stage == "fetch":
            for finding in msgspec.msgpack.decode(made["fetch"], type=list[Finding]):
                _say(f"       {finding.source}: {finding.status} {finding.reason or ''}".rstrip())
    return made


def _verdict(outcome: Outcome, *, strict: bool) -> int:
    if NOTHING_KNOWN in outcome.warnings:
        return NO_DATA
    return PARTIAL if outcome.partial and strict else OK


def _deliver(job: Job, folder: Path, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for form in job.request["formats"]:
        target = out / f"{job.request['token']}_report.{form}"
        target.write_bytes((folder / form).read_bytes())
        sys.stdout.write(f"{target}\n")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
