"""`tollway report TOKEN ADDRESS`: the same stages in this process, without a server, a queue or a database.

Progress goes to stderr, paths to stdout. Exit codes: 0 ok, 2 usage, 3 token and address do not belong together,
4 no data, 5 partial with --strict.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

import msgspec

from services.reports.errors import BuildError, FieldInvalid, TokenMismatchError, TokenUnknownError
from services.reports.foreman import Foreman
from services.reports.identity import Badge
from services.reports.job import STAGES, Job
from services.reports.reach import BodyCache, DataTransport, GatewayModel, RemoteCaller
from services.reports.recipes import ANY_MODEL, Outcome, TokenRecipe
from services.reports.request import TOKEN_FORMATS, read
from services.reports.sources.base import Finding
from services.reports.sources.gather import Sources
from shared import clock
from shared.cache import make_cache
from shared.config import ConfigFault, LiveConfig
from shared.http_client import HttpClient
from shared.settings import Settings, read_settings

OK, USAGE, MISMATCH, NO_DATA, PARTIAL = 0, 2, 3, 4, 5


def run_cli(options: argparse.Namespace) -> int:
    """Build one report as the options say; never raises for what a user can cause."""
    try:
        request = _request(options)
        settings = read_settings(config=getattr(options, "config", None))
        config = LiveConfig.open(settings)
    except (FieldInvalid, ConfigFault, ValueError) as error:
        _say(f"tollway report: {error}")
        return USAGE
    return asyncio.run(_report(request, settings, config, options))


def _request(options: argparse.Namespace) -> dict[str, object]:
    given = getattr(options, "format", None) or "html"
    formats = given.split(",") if isinstance(given, str) else list(given)
    unknown = [form for form in formats if form not in TOKEN_FORMATS]
    if unknown:
        raise FieldInvalid(f"--format: {unknown[0]!r} is none of {', '.join(TOKEN_FORMATS)}", param="format")
    model = getattr(options, "model", None)
    insight: object = not getattr(options, "no_insight", False)
    body = {
        "type": "token",
        "token": options.token,
        "address": options.address,
        "chain": getattr(options, "chain", None) or "ethereum",
        "days": getattr(options, "days", None) or 90,
        "formats": formats,
        "insight": {"model": model} if model and insight else insight,
        "sample": bool(getattr(options, "sample", False)),
        "language": getattr(options, "language", None) or "en",
    }
    return read(body)


async def _report(
    request: dict[str, object], settings: Settings, config: LiveConfig, options: argparse.Namespace
) -> int:
    http, cache = HttpClient(), make_cache("memory://")
    section = config.current.reports
    recipe = TokenRecipe(
        Sources(DataTransport(http), BodyCache(cache), clock.monotonic, lambda: section.data_sources),
        Foreman(settings.environment),
        GatewayModel(RemoteCaller(http.session, settings.url), Badge(settings)),
        lambda: section.insight_model or ANY_MODEL,
    )
    verbose = bool(getattr(options, "verbose", False))
    job = Job("cli", "cli", "token", request, "")
    out = Path(getattr(options, "out", None) or ".")
    try:
        with tempfile.TemporaryDirectory() as folder:
            made = await _stages(recipe, job, Path(folder), verbose=verbose)
            outcome = recipe.outcome(job, made)
            code = _verdict(made, outcome, strict=bool(getattr(options, "strict", False)))
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
    if code == NO_DATA:
        _say("tollway report: no source gave any data")
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


def _verdict(made: dict[str, bytes], outcome: Outcome, *, strict: bool) -> int:
    findings = msgspec.msgpack.decode(made["fetch"], type=list[Finding])
    if not any(finding.status == "ok" for finding in findings):
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
