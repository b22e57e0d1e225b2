"""`tollway report TOKEN ADDRESS`: the same stages in this process, without a server, a queue or a database.

Progress goes to stderr, paths to stdout. Exit codes: 0 ok, 2 usage, 3 token and address do not belong together, or the
evidence or a report verified by it is not what it says, 4 no data, 5 partial with --strict.
"""

import argparse
import asyncio
import sys
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from services.reports import evidence, verify
from services.reports.errors import BuildError, FieldInvalid, TokenMismatchError, TokenUnknownError
from services.reports.foreman import Foreman
from services.reports.identity import Badge
from services.reports.job import EVIDENCE, STAGES, Job, filename
from services.reports.reach import BodyCache, DataTransport, GatewayModel, InsightDrawer, RemoteCaller
from services.reports.recipes import ANY_MODEL, NOTHING_KNOWN, Outcome, Resolved, Stage, TokenRecipe, gathered
from services.reports.request import TOKEN_FORMATS, read
from services.reports.sources.gather import NAMES, Sources
from services.reports.sources.tape import Recorder, every_source, packed
from shared import clock
from shared.cache import make_cache
from shared.config import ConfigFault, LiveConfig
from shared.config.schema import DataSource
from shared.http_client import HttpClient
from shared.settings import Settings, read_settings

OK, USAGE, MISMATCH, NO_DATA, PARTIAL = 0, 2, 3, 4, 5


def request_of(options: argparse.Namespace) -> dict[str, Any] | None:
    """The request that the options make; None, and a line that says why, when they make none."""
    if not (options.token and options.address):
        _say("tollway report: TOKEN and ADDRESS are needed, or --from-evidence")
        return None
    formats = (options.format or "html").split(",")
    unknown = [form for form in formats if form not in TOKEN_FORMATS]
    if unknown:
        _say(f"tollway report: --format: {unknown[0]!r} is none of {', '.join(TOKEN_FORMATS)}")
        return None
    body = {
        "type": "token",
        "token": options.token,
        "address": options.address,
        "chain": options.chain,
        "days": options.days,
        "formats": formats,
        "insight": {"model": options.model} if options.model else not options.no_insight,
        "sample": options.sample,
        "language": options.language,
        "sections": options.sections.split(",") if options.sections else None,
    }
    try:
        return read(body)
    except FieldInvalid as error:
        _say(f"tollway report: {error}")
        return None


def run_cli(request: dict[str, Any], options: argparse.Namespace, bundle: evidence.Bundle | None = None) -> int:
    """Build one report here, anew or from evidence; never raises for what a user can cause."""
    try:
        settings = read_settings(config=options.config)
        config = LiveConfig.open(settings)
        told = config.current.reports.data_sources
        sources = every_source() if bundle else with_bases(told, options.provider_base)
    except (ConfigFault, ValueError) as error:
        _say(f"tollway report: {error}")
        return USAGE
    return asyncio.run(_report(request, settings, config, sources, options, bundle))


def run_again(options: argparse.Namespace) -> int:
    """The report of a bundle once more, without a network, if all of the bundle is what its manifest says."""
    named = {"token": options.token, "address": options.address}
    try:
        bundle = evidence.read(Path(options.from_evidence))
        asked = bundle.manifest.request | {"type": "token"}
        formats = Path(options.verify).suffix[1:] if options.verify else options.format
        request = read(asked | {"formats": formats.split(",")} if formats is not None else asked)
    except (OSError, evidence.EvidenceError, FieldInvalid) as error:
        _say(f"tollway report: {error}")
        return USAGE
    if any((given or request[name]).lower() != request[name] for name, given in named.items()):
        _say(f"tollway report: this is the evidence of a report about {request['token']} {request['address']}")
        return USAGE
    wrong = bundle.differing()
    for name in wrong:
        _say(f"tollway report: {name} in the evidence is not what its manifest says")
    return MISMATCH if wrong else run_cli(request, options, bundle)


def with_bases(sources: dict[str, DataSource], bases: list[str]) -> dict[str, DataSource]:
    """The configured sources, some at another address, given as `name=url`; raises ValueError."""
    changed = dict(sources)
    for given in bases:
        name, _, url = given.partition("=")
        if name not in NAMES or not url.startswith(("http://", "https://")):
            raise ValueError(f"--provider-base: {given!r} is not NAME=URL with a name of {', '.join(NAMES)}")
        changed[name] = changed.get(name, DataSource()).model_copy(update={"base_url": url})
    return changed


async def _report(
    request: dict[str, Any],
    settings: Settings,
    config: LiveConfig,
    sources: dict[str, DataSource],
    options: argparse.Namespace,
    bundle: evidence.Bundle | None,
) -> int:
    http, cache, foreman = HttpClient(), make_cache("memory://"), Foreman(settings.environment)
    recipe = TokenRecipe(
        Sources(DataTransport(http), BodyCache(cache), clock.monotonic, lambda: sources),
        foreman,
        GatewayModel(RemoteCaller(http.session, settings.url), Badge(settings)),
        lambda: config.current.reports.insight_model or ANY_MODEL,
        InsightDrawer(cache),
        bundle.playback if bundle else Recorder,
    )
    if bundle:
        recipe.stages |= told_stages(bundle.manifest)
    try:
        return await _built(recipe, request, options, bundle)
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
        await foreman.close()
        await http.close()


async def _built(
    recipe: TokenRecipe,
    request: dict[str, Any],
    options: argparse.Namespace,
    bundle: evidence.Bundle | None,
) -> int:
    job, out, verbose = Job("cli", "cli", "token", request, ""), Path(options.out), bool(options.verbose)
    with tempfile.TemporaryDirectory() as folder:
        made = await _stages(recipe, job, Path(folder), verbose=verbose)
        outcome = recipe.outcome(job, made)
        for warning in outcome.warnings:
            _say(f"warning: {warning}")
        if options.verify:
            return await asyncio.to_thread(_verified, Path(folder), Path(options.verify), options.fact)
        code = _verdict(outcome, strict=options.strict)
        if code == NO_DATA:
            return code
        hashes = await asyncio.to_thread(_deliver, job, Path(folder), out)
    if options.evidence:
        await asyncio.to_thread(_deliver_evidence, job, recipe.evidence(job, made, hashes), out)
    if bundle and _says_otherwise(bundle.manifest, request, hashes):
        return MISMATCH
    return code


def _verified(folder: Path, told: Path, wanted: list[str]) -> int:
    """Tell of each number whether the evidence comes to it."""
    form = told.suffix[1:]
    try:
        lines = verify.compared(told.read_bytes(), (folder / form).read_bytes(), form, wanted)
    except verify.NoSuchFactError as error:
        _say(f"tollway report: there is no fact {error}")
        return USAGE
    except (ValueError, OSError) as error:
        _say(f"tollway report: {told}: {error}")
        return USAGE
    for name, text, same in lines:
        sys.stdout.write(f"{'same  ' if same else 'DIFFERS'} {name}: {text}\n")
    _say(f"{sum(same for *_, same in lines)} of {len(lines)} as the evidence has it")
    return OK if all(same for *_, same in lines) else MISMATCH


def told_stages(manifest: evidence.Manifest) -> dict[str, Stage]:
    """The stages whose result no body holds: the clock's and the model's."""

    def told(result: Any) -> Stage:
        async def stage(job: Job, made: dict[str, bytes], folder: Path) -> bytes:
            return msgspec.msgpack.encode(result)

        return stage

    return {"resolve": told(Resolved(manifest.as_of_ms, None, packed([]))), "insight": told(manifest.insight)}


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
            for finding in gathered(made).findings:
                _say(f"       {finding.source}: {finding.status} {finding.reason or ''}".rstrip())
    return made


def _verdict(outcome: Outcome, *, strict: bool) -> int:
    if NOTHING_KNOWN in outcome.warnings:
        return NO_DATA
    return PARTIAL if outcome.partial and strict else OK


def _deliver(job: Job, folder: Path, out: Path) -> dict[str, str]:
    """The hash of each file that was written, by its format."""
    out.mkdir(parents=True, exist_ok=True)
    hashes = {}
    for form in job.request["formats"]:
        body, target = (folder / form).read_bytes(), out / filename(job.request, form)
        target.write_bytes(body)
        sys.stdout.write(f"{target}\n")
        hashes[form] = sha256(body).hexdigest()
    return hashes


def _deliver_evidence(job: Job, packed: bytes | None, out: Path) -> None:
    target = out / filename(job.request, EVIDENCE)
    evidence.write(packed or b"", target)
    sys.stdout.write(f"{target}\n")


def _says_otherwise(manifest: evidence.Manifest, request: dict[str, Any], hashes: dict[str, str]) -> bool:
    """Whether a file came out other than it was; one that was not made then is not compared."""
    made = {filename(request, form): digest for form, digest in hashes.items()}
    wrong = [name for name, digest in made.items() if manifest.reports.get(name, digest) != digest]
    for name in wrong:
        by = f"made by version {manifest.version}, now by {evidence.version()}"
        _say(f"tollway report: {name} is not what it was when the evidence was taken ({by})")
    return bool(wrong)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
