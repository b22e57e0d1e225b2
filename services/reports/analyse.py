"""Turns findings into an analysis: class, chapters, facts, scores, quality. The heavy half of a job."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from services.reports import quality, scores
from services.reports.asset import chapters_for, classify
from services.reports.chapters import (
    comovement,
    defi,
    flows,
    holders,
    liquidity,
    market,
    peg,
    risk,
    security,
    supply,
)
from services.reports.chapters.material import Material
from services.reports.facts import Analysis, Book
from services.reports.history import History, read
from services.reports.sources.base import Finding

WRITERS: dict[str, Callable[[Material], None]] = {
    "risk": risk.write,
    "comovement": comovement.write,
    "peg": peg.write,
    "flows": flows.write,
    "liquidity": liquidity.write,
    "supply": supply.write,
    "holders": holders.write,
    "defi": defi.write,
}


def analyse(request: dict[str, Any], findings: list[Finding]) -> Analysis:
    """`request` is the job's subject: token, address, chain, days, language, sample, as_of_ms."""
    material = gather(request, findings)
    kind, why = material.kind, material.missing_reason.pop("class", "default")
    market.write(material)
    chapters = chapters_for(kind)
    for chapter in chapters:
        if chapter in WRITERS:
            WRITERS[chapter](material)
    # An invented asset must not inherit the standing of the address it was asked with.
    security.write(material, "" if request.get("sample") else request["address"])
    _activity(material)
    rows = quality.disagreements(material)
    total_rows, total = scores.score(material.book, kind, material.alarms)
    window = material.history.last(request["days"])
    late = quality.late(findings, request["as_of_ms"])
    graded = quality.grade(material, [f.status for f in findings], rows, late)
    subject = _subject(request, material, kind, why, window)
    shown = [chapter for chapter in chapters if chapter in (request.get("sections") or chapters)]
    order = {"critical": 0, "high": 1, "issuer": 2, "info": 3}
    return Analysis(
        subject={**subject, "total_score": total, "breakpoints": scores.breakpoints()["version"]},
        facts=list(material.book),
        chapters=shown,
        scores=total_rows,
        charts=[chart for chart in material.charts if chart["chapter"] in shown],
        tables=[table for table in material.tables if table["chapter"] in shown],
        alarms=sorted(material.alarms, key=lambda alarm: order[alarm["severity"]]),
        disagreements=rows,
        quality={**graded, "changed_elsewhere": quality.provider_changes(material)},
        sources=[
            {
                "name": finding.source,
                "status": finding.status,
                "reason": finding.reason,
                "as_of": finding.as_of,
                "endpoints": finding.endpoints,
            }
            for finding in findings
        ],
    )


def gather(request: dict[str, Any], findings: list[Finding]) -> Material:
    data = {finding.source: finding.data for finding in findings if finding.status == "ok"}
    gecko = data.get("coingecko", {})
    history = read(gecko.get("history"))
    stamp = request["as_of_ms"] / 1000
    as_of = datetime.fromtimestamp(stamp, UTC).isoformat(timespec="seconds")
    material = Material(
        data,
        Book(as_of, {finding.source: finding.as_of for finding in findings if finding.as_of}),
        "",
        request["days"],
        int(stamp // 86_400),
        history,
        {name: read(rows) for name, rows in (gecko.get("benchmarks") or {}).items()},
        missing_reason=_reasons(findings),
    )
    stable = data.get("defillama", {}).get("stable")
    prices = [float(price) for price in history.prices]
    material.kind, material.missing_reason["class"] = classify(gecko.get("identity") or {}, stable, prices)
    return material


def _reasons(findings: list[Finding]) -> dict[str, str]:
    """Why a whole source is missing; a source that answered is not in here."""
    reasons = {}
    for finding in findings:
        if finding.status == "unknown":
            reasons[finding.source] = "not_known_there"
        elif finding.status in ("failed", "skipped"):
            reasons[finding.source] = f"source_{finding.status}"
    return reasons


def _activity(material: Material) -> None:
    told = material.of("coingecko").get("activity") or {}
    reason = material.reason("coingecko")
    for name in ("commits_4_weeks", "stars"):
        material.book.add(name, told.get(name), "count", "coingecko", reason=reason)


def _subject(request: dict[str, Any], material: Material, kind: str, why: str, window: History) -> dict[str, Any]:
    identity = material.of("coingecko").get("identity") or {}
    return {
        "token": request["token"],
        "address": request["address"],
        "chain": request["chain"],
        "name": identity.get("name") or request["token"],
        "symbol": identity.get("symbol"),
        "categories": identity.get("categories") or [],
        "genesis": identity.get("genesis"),
        "notice": identity.get("notice"),
        "class": kind,
        "class_reason": why,
        "days": request["days"],
        "first_day": window.days[0] if window.days else None,
        "last_day": window.days[-1] if window.days else None,
        "as_of_ms": request["as_of_ms"],
        "sample": bool(request.get("sample")),
        "language": request.get("language", "en"),
    }
