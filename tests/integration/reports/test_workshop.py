"""The workshop process: bounded, without our keys, and gone when its parent is; its cost for a year's report."""

import asyncio
import os
import resource
import sys

import msgspec
import pytest

from services.reports.errors import WorkshopError
from services.reports.facts import Analysis
from services.reports.foreman import ROOT, Foreman
from services.reports.insight.write import by_template
from services.reports.sources import sample

SUBJECT = {
    "token": "aave",
    "address": "0x" + "ab" * 20,
    "chain": "Ethereum",
    "days": 365,
    "language": "en",
    "sample": True,
    "as_of_ms": sample.as_of_ms(),
}


def analyse_request():
    return {"work": "analyse", "subject": SUBJECT, "findings": msgspec.msgpack.encode(sample.findings("aave"))}


async def render_request(foreman, folder, formats):
    analysed = await foreman.run(analyse_request())
    insight = by_template(msgspec.msgpack.decode(analysed, type=Analysis), "en")
    return {
        "work": "render",
        "analysis": analysed,
        "insight": msgspec.msgpack.encode(insight),
        "formats": formats,
        "folder": str(folder),
    }


async def test_a_years_report_as_html_and_json_takes_little_processor_time(tmp_path):
    foreman = Foreman(os.environ)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    written = await foreman.run(await render_request(foreman, tmp_path, ["html", "json"]))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"CPU {spent:.2f} s")
    assert written == ["html", "json"]
    assert spent < 3.0


async def test_the_workshop_ends_when_its_parent_is_gone(tmp_path):
    foreman = Foreman(os.environ)
    body = msgspec.msgpack.encode(await render_request(foreman, tmp_path, ["pdf", "png"]))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.reports.workshop", stdin=asyncio.subprocess.PIPE, cwd=ROOT
    )
    process.stdin.write(len(body).to_bytes(4, "big") + body)
    await process.stdin.drain()
    process.stdin.close()
    async with asyncio.timeout(20):
        assert await process.wait() == 70


async def test_a_workshop_that_takes_too_long_is_killed(tmp_path):
    slow = Foreman(os.environ, deadline_seconds=0.01)
    with pytest.raises(WorkshopError, match="longer than"):
        await slow.run(analyse_request())


async def test_what_the_workshop_says_at_its_end_is_the_reason():
    with pytest.raises(WorkshopError, match="KeyError"):
        await Foreman(os.environ).run({"work": "nothing"})


async def test_none_of_our_keys_enters_the_workshop(monkeypatch):
    seen = {}

    async def spy(*arguments, env, **rest):
        seen.update(env)
        raise FileNotFoundError

    monkeypatch.setattr(asyncio, "create_subprocess_exec", spy)
    with pytest.raises(FileNotFoundError):
        await Foreman({"PATH": "/bin", "OPENAI_API_KEY": "sk", "TOLLWAY_ADMIN_TOKEN": "t"}).run(analyse_request())
    assert not {"OPENAI_API_KEY", "TOLLWAY_ADMIN_TOKEN"} & set(seen)
