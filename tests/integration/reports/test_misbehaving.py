"""The promise about the sources: whatever they do, a report is partial with the reason, without a wrong number or a script.

The stages run as the command runs them, the heavy ones in this process. A truth is what the undisturbed sources come to.
"""

import re
from html import unescape

import msgspec
import pytest

from services.reports import workshop
from services.reports.errors import TokenMismatchError, TokenUnknownError
from services.reports.job import Job
from services.reports.recipes import TokenRecipe, gathered
from services.reports.sources import sample
from services.reports.sources.gather import NAMES
from services.reports.words import words
from tests.fakes.market_data import HOSTILE, MarketData
from tests.unit.reports.test_sources import NOW_MS, no_pauses, sources

__all__ = ["no_pauses"]  # a fixture for every test here, too
TOKENS = {"stable": "usd-coin", "large": "aave", "suspicious": "squid-game"}
FAILING = {
    "429": "rate_limited",
    "500": "server_error_500",
    "401": "refused",
    "slow": "timeout",
    "down": "unreachable",
    "truncated": "bad_answer",
    "html": "bad_answer",
}
WRONG = ("404", "empty", "missing", "nulls", "hostile", "negative", "huge", "skewed", "mismatch", "flaky", "part")
# One that fails leaves the others the same, whichever way it failed.
ALONE = [(scenario, source) for scenario in ("down", *WRONG) for source in NAMES]
# Of these several sources have their own figure, and the next one steps in, or fewer checks find less.
ELSEWHERE = {"holder_count", "top_1", "alarms_critical", "alarms_high", "checks_known", "verified", "proxy"}
# Loud outside of text: handlers, scripts, and whatever a browser would fetch.
LOUD = re.compile(
    r"<script|<img|<iframe|\son\w+\s*=|javascript:|(?:src|action|data)\s*=\s*[\"']?https?:", re.IGNORECASE
)
INVENTED = {"huge", "negative"}


class Inline:
    """The workshop's jobs without its process."""

    async def run(self, request):
        told = workshop.JOBS[request["work"]](msgspec.msgpack.decode(msgspec.msgpack.encode(request)))
        return msgspec.msgpack.decode(msgspec.msgpack.encode(told))


class Built:
    def __init__(self, outcome, findings, folder):
        self.outcome = outcome
        self.statuses = {finding.source: finding.status for finding in findings}
        self.page = (folder / "html").read_text()
        self.told = msgspec.json.decode((folder / "json").read_bytes())
        self.facts = {fact["id"]: fact for fact in self.told["facts"]}


async def build(folder, asset, scenarios, language="en"):
    token = TOKENS[asset]
    market = MarketData(token, sample.ADDRESSES[token], asset, scenarios)
    recipe = TokenRecipe(sources(market), Inline(), None, lambda: "auto", None)
    request = {
        "type": "token", "token": token, "address": market.address, "chain": "ethereum", "days": 365, "insight": False,
        "formats": ["html", "json"], "sample": False, "language": language,
    }  # fmt: skip
    job, made = Job("j", "o", "token", request, ""), {}
    for stage, run in recipe.stages.items():
        made[stage] = await run(job, made, folder)
    return Built(recipe.outcome(job, made), gathered(made).findings, folder)


@pytest.fixture(autouse=True)
def at_the_samples_time(monkeypatch):
    monkeypatch.setattr("shared.clock.now", lambda: NOW_MS / 1000)


TRUTHS = {}


async def truth(folder, asset):
    if asset not in TRUTHS:
        TRUTHS[asset] = (await build(folder, asset, {})).facts
    return TRUTHS[asset]


def check(built, expected, scenario, disturbed):
    """What holds for every report, whatever its sources did."""
    assert not LOUD.findall(re.sub(r">[^<]*<", "><", built.page))
    assert HOSTILE not in built.page
    failed = [name for name in disturbed if built.statuses[name] == "failed"]
    for name in failed:
        assert any(warning.startswith(f"{name}: ") for warning in built.outcome.warnings)
    assert built.outcome.partial or not failed
    if scenario in FAILING:
        assert {f"{name}: {FAILING[scenario]}" for name in disturbed} <= set(built.outcome.warnings)
    for name, fact in built.facts.items():
        if fact["value"] is None:
            assert fact["reason"]
            continue
        assert built.statuses[fact["source"]] == "ok"
        if scenario not in INVENTED and name in expected and name not in ELSEWHERE:
            assert fact["value"] in (pytest.approx(expected[name]["value"]), None), name
    for severity in ("critical", "high"):
        if not built.facts[f"alarms_{severity}"]["value"]:
            assert built.facts[f"alarms_{severity}"]["value"] is None or built.facts["checks_known"]["value"] == 1
    shown = dict(re.findall(r'<tr id="f-(\w+)"><td>[^<]*</td><td[^>]*>([^<]*)', built.page))
    assert {name for name, text in shown.items() if text == "–"} == {
        name for name in shown if built.facts[name]["value"] is None
    }
    assert not [claim for claim in built.told["insight"]["claims"] if "–" in claim["rendered"]]


async def judged(folder, asset, scenario, disturbed):
    expected = await truth(folder, asset)
    try:
        built = await build(folder, asset, dict.fromkeys(disturbed, scenario))
    except TokenMismatchError:
        assert scenario == "mismatch"
        assert "coingecko" in disturbed
    except TokenUnknownError:
        assert scenario == "404"
        assert len(disturbed) == len(NAMES)
    else:
        check(built, expected, scenario, disturbed)


@pytest.mark.parametrize(("scenario", "source"), ALONE)
async def test_one_source_misbehaves(tmp_path, scenario, source):
    await judged(tmp_path, "suspicious", scenario, [source])


@pytest.mark.parametrize("asset", TOKENS)
@pytest.mark.parametrize("scenario", [*FAILING, *(name for name in WRONG if name != "missing")])
async def test_all_sources_misbehave_at_once(tmp_path, asset, scenario):
    await judged(tmp_path, asset, scenario, NAMES)


async def test_a_token_that_could_not_be_checked_at_first_is_checked_by_what_comes_later(tmp_path, monkeypatch):
    async def away(self, subject, tape):
        raise TimeoutError

    monkeypatch.setattr("services.reports.sources.gather.Sources.identify", away)
    with pytest.raises(TokenMismatchError):
        await build(tmp_path, "large", {"coingecko": "mismatch"})


@pytest.mark.parametrize("scenario", FAILING)
async def test_a_chinese_page_has_no_codes_and_no_english_reasons(tmp_path, scenario):
    built = await build(tmp_path, "stable", dict.fromkeys(NAMES, scenario), "zh")
    text = unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", built.page, flags=re.DOTALL))
    assert FAILING[scenario] not in text
    for part in ("reasons", "codes", "status"):
        assert not [said for said in words("en")[part].values() if len(said) > 6 and said in text]
