"""Gets the insight text: a model's claims that pass the checker, one repair, and the template where that fails."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol

import msgspec

from services.reports.facts import Analysis, Fact
from services.reports.insight import checker, prompt, template
from services.reports.insight.claims import Claim, Insight, by_id

FEWEST_KEPT = 2
DEMO = "demo"  # the model that is there when none is configured; its answers are canned
FACT_NAMES = {"Bitcoin", "Ether", "Ethereum", "DeFi", "Sharpe", "Sortino", "Calmar", "Gini", "VaR"}


class ModelError(Exception):
    """The model gave no usable answer."""


@dataclass(frozen=True, slots=True)
class Reply:
    text: str
    model: str
    usage: dict[str, Any]


class Drawer(Protocol):
    """Where answers lie that were paid for already; one that is away is an empty one."""

    async def get(self, key: str) -> bytes | None: ...

    async def put(self, key: str, value: bytes) -> None: ...


class Model(Protocol):
    """One chat completion through our own gateway; raises ModelError."""

    async def complete(self, model: str, messages: list[dict[str, str]]) -> Reply: ...


def by_template(analysis: Analysis, language: str, warning: str | None = None) -> Insight:
    claims = template.claims(by_id(analysis.facts), analysis.chapters, language)
    return Insight(claims, "template", made=len(claims), kept=len(claims), warning=warning)


async def write(analysis: Analysis, language: str, model: Model, name: str, drawer: Drawer) -> Insight:
    """Never fails: what goes wrong with the model becomes a warning and the template's text.

    Of the same facts the same model has nothing new to say: its text is taken from the drawer, at no cost.
    """
    asked = prompt.messages(analysis, language)
    key = sha256(msgspec.json.encode([name, asked])).hexdigest()
    found = await _found(drawer, key)
    if found is not None and not judge(found.claims, analysis, language)[1]:
        return found
    written = await _written(analysis, language, model, name, asked)
    if written.by == "model":
        await drawer.put(key, msgspec.msgpack.encode(written))
    return written


async def _found(drawer: Drawer, key: str) -> Insight | None:
    kept = await drawer.get(key)
    try:
        found = msgspec.msgpack.decode(kept, type=Insight) if kept else None
    except msgspec.MsgspecError:
        return None
    if found is not None:
        found.usage = {}
    return found


async def _written(analysis: Analysis, language: str, model: Model, name: str, asked: list[dict[str, str]]) -> Insight:
    try:
        reply = await model.complete(name, asked)
    except ModelError as error:
        return by_template(analysis, language, f"insight: {error}; the text was written by rule")
    if reply.model == DEMO:
        spare = by_template(analysis, language, "insight: no model is configured; the text was written by rule")
        spare.usage = reply.usage
        return spare
    claims = prompt.read(reply.text, analysis.chapters)
    good, faults = judge(claims, analysis, language)
    usage = dict(reply.usage)
    if faults or not claims:
        try:
            second = await model.complete(name, prompt.repair(asked, reply.text, faults))
        except ModelError:
            second = None
        if second is not None:
            mended = prompt.read(second.text, analysis.chapters)
            again, still = judge(mended, analysis, language)
            usage = _added(usage, second.usage)
            if len(again) >= len(good):
                claims, good, faults, reply = mended, again, still, second
    if len(good) < FEWEST_KEPT:
        why = "its answer was not in the agreed shape" if not claims else "its statements did not pass the checks"
        spare = by_template(analysis, language, f"insight: model {name}: {why}; the text was written by rule")
        spare.rejected, spare.usage = _listed(faults), usage
        return spare
    digest = sha256(msgspec.json.encode(asked)).hexdigest()
    return Insight(good, "model", reply.model, len(claims), len(good), _listed(faults), digest, None, usage)


def judge(claims: list[Claim], analysis: Analysis, language: str) -> tuple[list[Claim], list[tuple[Claim, list[str]]]]:
    facts: dict[str, Fact] = by_id(analysis.facts)
    names = FACT_NAMES | {str(analysis.subject["name"]), str(analysis.subject["symbol"])}
    good: list[Claim] = []
    faults: list[tuple[Claim, list[str]]] = []
    for claim in claims:
        broken = checker.check(claim, facts, names, language)
        if broken:
            faults.append((claim, broken))
        elif claim.text not in {kept.text for kept in good}:
            good.append(claim)
    return good, faults


def _listed(faults: list[tuple[Claim, list[str]]]) -> list[dict[str, Any]]:
    return [{"text": claim.text, "why": why} for claim, why in faults]


def _added(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    keys = {**first, **second}
    return {
        key: first.get(key, 0) + second.get(key, 0)
        for key in keys
        if isinstance(first.get(key, 0), int) and isinstance(second.get(key, 0), int)
    }
