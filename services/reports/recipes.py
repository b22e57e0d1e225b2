"""The stages of each type of report: what is asked, computed, written and rendered. Results are bytes to be kept."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec

from services.reports import counters, evidence
from services.reports.chains import CHAINS
from services.reports.errors import TokenMismatchError, TokenUnknownError
from services.reports.facts import Analysis
from services.reports.foreman import Foreman
from services.reports.insight.claims import Insight
from services.reports.insight.write import Drawer, Model, by_template, write
from services.reports.job import Job, filename
from services.reports.reach import UsageClient
from services.reports.request import period_of
from services.reports.sources import sample
from services.reports.sources.base import Finding, SourceError, Subject, Tape
from services.reports.sources.gather import Sources
from services.reports.sources.tape import Recorder, packed
from services.reports.usage_report import Taken, collect
from shared import clock

Stage = Callable[[Job, dict[str, bytes], Path], Awaitable[bytes]]
ADMIN = "admin"
# What a report asks for when no model is named: the healthiest one.
ANY_MODEL = "auto"
NOTHING_KNOWN = "no source gave any data"


class Resolved(msgspec.Struct):
    """When the report is of, whether token and address were found to belong together, and what was heard of that."""

    as_of_ms: int
    checked: bool | None
    heard: bytes


class Gathered(msgspec.Struct):
    """What each source came to, and what was heard from them all."""

    findings: list[Finding]
    heard: bytes


class Outcome(msgspec.Struct):
    """How a finished build is to be reported."""

    partial: bool
    warnings: list[str]
    usage: dict[str, Any] | None = None


class Recipe(Protocol):
    """The stages of one type, by name, and what they came to."""

    @property
    def stages(self) -> dict[str, Stage]: ...

    def outcome(self, job: Job, made: dict[str, bytes]) -> Outcome: ...

    def evidence(self, job: Job, made: dict[str, bytes], hashes: Mapping[str, str]) -> bytes | None:
        """What the report can be made again from, as a file; takes long enough for a thread."""


class TokenRecipe:
    """Resolve, fetch, compute, insight, render."""

    def __init__(
        self,
        sources: Sources,
        foreman: Foreman,
        model: Model,
        default_model: Callable[[], str],
        drawer: Drawer,
        tape: Callable[[], Tape] = Recorder,
    ) -> None:
        self._sources = sources
        self._tape = tape
        self._drawer = drawer
        self._foreman = foreman
        self._model = model
        self._default_model = default_model
        self.stages: dict[str, Stage] = {
            "resolve": self._resolve,
            "fetch": self._fetch,
            "compute": self._compute,
            "insight": self._insight,
            "render": self._render,
        }

    async def _resolve(self, job: Job, made: dict[str, bytes], folder: Path) -> bytes:
        """Does the address belong to the token? The first check of every job."""
        request = job.request
        if request["sample"]:
            if not sample.belongs(request["token"], request["address"]):
                raise TokenMismatchError
            return msgspec.msgpack.encode(Resolved(sample.as_of_ms(), None, packed([])))
        now_ms, tape = int(clock.now() * 1000), self._tape()
        try:
            identity = await self._sources.identify(_subject(request, now_ms), tape)
        except (SourceError, TimeoutError):
            # Down or unknown there: the fetch says which, and other sources may know the address.
            identity = None
        known = identity.get("address") if identity else None
        _compare(request, known)
        return msgspec.msgpack.encode(Resolved(now_ms, known is not None, packed(tape.heard())))

    async def _fetch(self, job: Job, made: dict[str, bytes], folder: Path) -> bytes:
        request, tape = job.request, self._tape()
        if request["sample"]:
            return msgspec.msgpack.encode(Gathered(sample.findings(request["token"]), packed([])))
        findings = await self._sources.gather(_subject(request, resolved(made).as_of_ms), tape)
        for finding in findings:
            counters.SOURCES.labels(finding.source, finding.status).inc()
            # Who could not be asked before may tell now that these are another token's figures.
            _compare(request, finding.data.get("address"))
        statuses = {finding.status for finding in findings}
        if "ok" not in statuses and "failed" not in statuses:
            raise TokenUnknownError
        return msgspec.msgpack.encode(Gathered(findings, await asyncio.to_thread(packed, tape.heard())))

    async def _compute(self, job: Job, made: dict[str, bytes], folder: Path) -> bytes:
        subject = {
            "token": job.request["token"],
            "address": job.request["address"],
            "chain": CHAINS[job.request["chain"]].title,
            "days": job.request["days"],
            "language": job.request["language"],
            "sample": job.request["sample"],
            "as_of_ms": resolved(made).as_of_ms,
            "sections": job.request.get("sections"),
        }
        findings = msgspec.msgpack.encode(gathered(made).findings)
        answer: bytes = await self._foreman.run({"work": "analyse", "subject": subject, "findings": findings})
        return answer

    async def _insight(self, job: Job, made: dict[str, bytes], folder: Path) -> bytes:
        analysis = msgspec.msgpack.decode(made["compute"], type=Analysis)
        wanted, language = job.request["insight"], job.request["language"]
        if wanted is False:
            insight = by_template(analysis, language)
        else:
            name = wanted["model"] if isinstance(wanted, dict) else self._default_model()
            insight = await write(analysis, language, self._model, name, self._drawer)
        counters.INSIGHT.labels(insight.by).inc()
        return msgspec.msgpack.encode(insight)

    async def _render(self, job: Job, made: dict[str, bytes], folder: Path) -> bytes:
        written = await self._foreman.run(
            {
                "work": "render",
                "analysis": made["compute"],
                "insight": made["insight"],
                "formats": job.request["formats"],
                "folder": str(folder),
            }
        )
        return msgspec.msgpack.encode(written)

    def outcome(self, job: Job, made: dict[str, bytes]) -> Outcome:
        findings = gathered(made).findings
        insight = msgspec.msgpack.decode(made["insight"], type=Insight)
        warnings = [
            f"{finding.source}: {finding.reason}"
            for finding in findings
            if finding.status == "failed" or (finding.status == "ok" and finding.reason)
        ]
        # A source that only lacked a part still leaves the report without that part.
        partial = bool(warnings)
        if not any(finding.status == "ok" for finding in findings):
            warnings.insert(0, NOTHING_KNOWN)
        if insight.warning:
            warnings.append(insight.warning)
        return Outcome(partial, warnings, insight.usage or None)

    def evidence(self, job: Job, made: dict[str, bytes], hashes: Mapping[str, str]) -> bytes | None:
        told, heard = resolved(made), gathered(made)
        bundle = evidence.collect(
            # Whom the owner has told of it is nobody's business.
            job.request | {"webhook_url": None},
            told.as_of_ms,
            heard.findings,
            evidence.merged(told.heard, heard.heard),
            msgspec.msgpack.decode(made["insight"], type=Insight),
            {filename(job.request, form): digest for form, digest in hashes.items()},
        )
        return evidence.pack(bundle)


def resolved(made: dict[str, bytes]) -> Resolved:
    return msgspec.msgpack.decode(made["resolve"], type=Resolved)


def gathered(made: dict[str, bytes]) -> Gathered:
    return msgspec.msgpack.decode(made["fetch"], type=Gathered)


def _subject(request: dict[str, Any], now_ms: int) -> Subject:
    return Subject(request["token"], request["address"], CHAINS[request["chain"]], now_ms)


def _compare(request: dict[str, Any], known: str | None) -> None:
    if known is not None and known != request["address"]:
        raise TokenMismatchError(
            f"{request['token']} has the address {known} on {request['chain']}, not {request['address']}"
        )


class UsageRecipe:
    """Fetch, render."""

    def __init__(self, client: UsageClient, foreman: Foreman) -> None:
        self._client = client
        self._foreman = foreman
        self.stages: dict[str, Stage] = {"fetch": self._fetch, "render": self._render}

    async def _fetch(self, job: Job, made: dict[str, bytes], folder: Path) -> bytes:
        key_id = None if job.owner == ADMIN else job.owner
        with_events = "csv" in job.request["formats"]
        return msgspec.msgpack.encode(
            await collect(self._client, period_of(job.request), key_id, with_events=with_events)
        )

    async def _render(self, job: Job, made: dict[str, bytes], folder: Path) -> bytes:
        written = await self._foreman.run(
            {
                "work": "render_usage",
                "usage": made["fetch"],
                "key_id": None if job.owner == ADMIN else job.owner,
                "language": job.request["language"],
                "formats": job.request["formats"],
                "folder": str(folder),
            }
        )
        return msgspec.msgpack.encode(written)

    def outcome(self, job: Job, made: dict[str, bytes]) -> Outcome:
        warning = msgspec.msgpack.decode(made["fetch"], type=Taken).warning
        return Outcome(partial=False, warnings=[warning] if warning else [])

    def evidence(self, job: Job, made: dict[str, bytes], hashes: Mapping[str, str]) -> bytes | None:
        # The ledger is ours, and answers again.
        return None
