"""A report and the evidence of it: made again without a network it is the same to the byte, and what was changed is named."""

import json
import stat
import zipfile

from services.reports import evidence
from tests.fakes.market_data import USDC, MarketData, base_urls, served
from tests.integration.reports.test_command_line import report
from tests.integration.reports.test_kill import gateway

NOWHERE = "http://127.0.0.1:9"
SECRET = "sk-not-to-be-kept"
BUNDLE = "usd-coin_evidence.zip"


async def make(tmp_path, market, *arguments, url=NOWHERE, form="html,json,pdf"):
    """A report with its evidence, from the fake providers with a key for each."""
    async with served(market) as origin:
        sources = {name: {"base_url": base, "api_key": SECRET} for name, base in base_urls(origin).items()}
        sources["defillama"]["base_url"] = f"http://user:{SECRET}@{origin.removeprefix('http://')}/defillama"
        config = tmp_path / "tollway.yaml"
        config.write_text(json.dumps({"reports": {"data_sources": sources}}))
        asked = ("usd-coin", USDC, "--evidence", "--format", form, "--config", str(config), *arguments)
        code, paths, said = await report(url, tmp_path / "made", *asked)
    return code, paths, said


async def again(tmp_path, bundle, *arguments):
    return await report(NOWHERE, tmp_path / "again", "--from-evidence", str(bundle), *arguments)


def contents(path):
    with zipfile.ZipFile(path) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def pack(path, files):
    with zipfile.ZipFile(path, "w") as packed:
        for name, body in files.items():
            packed.writestr(name, body)
    return path


def same(tmp_path, forms=("html", "json", "pdf")):
    pairs = [
        [(tmp_path / place / f"usd-coin_report.{form}").read_bytes() for place in ("made", "again")] for form in forms
    ]
    return all(first == second for first, second in pairs)


async def test_a_report_is_made_again_to_the_byte_without_a_network(tmp_path):
    code, paths, said = await make(tmp_path, MarketData(), "--no-insight")
    assert (code, len(paths)) == (0, 4), said
    assert [line for line in said.splitlines() if line.startswith("warning")] == [
        "warning: etherscan: incomplete: rate_limited"
    ]
    code, paths, said = await again(tmp_path, tmp_path / "made" / BUNDLE)
    assert (code, len(paths)) == (0, 3), said
    assert same(tmp_path)


async def test_what_failed_was_off_or_half_there_is_the_same_again(tmp_path):
    scenarios = {"dexscreener": "500", "goplus": "html", "honeypot": "404", "ethplorer": "429"}
    _, _, first = await make(tmp_path, MarketData(scenarios=scenarios), "--no-insight", form="html,json")
    code, _, second = await again(tmp_path, tmp_path / "made" / BUNDLE)
    warnings = [[line for line in said.splitlines() if line.startswith("warning")] for said in (first, second)]
    assert (code, len(warnings[0])) == (0, 4)
    assert warnings[0] == warnings[1]
    assert same(tmp_path, ("html", "json"))


async def test_the_models_text_is_played_again_and_the_model_not_asked(tmp_path):
    async with gateway() as (url, calls):
        code, _, said = await make(
            tmp_path, MarketData(), "--model", "special", "--days", "30", url=url, form="html,json"
        )
    assert (code, calls["special"]) == (0, 1), said
    told = json.loads((tmp_path / "made" / "usd-coin_report.json").read_bytes())["insight"]
    assert told["by"] == "model"
    code, _, said = await again(tmp_path, tmp_path / "made" / BUNDLE)
    assert code == 0, said
    assert same(tmp_path, ("html", "json"))


async def test_a_report_on_the_sample_has_evidence_too(tmp_path):
    asked = ("usd-coin", USDC, "--sample", "--no-insight", "--evidence", "--format", "json")
    assert (await report(NOWHERE, tmp_path / "made", *asked))[0] == 0
    assert (await again(tmp_path, tmp_path / "made" / BUNDLE))[0] == 0
    assert same(tmp_path, ("json",))


async def test_the_evidence_has_every_body_no_secret_and_one_reader(tmp_path):
    await make(tmp_path, MarketData(), "--no-insight", form="json")
    path = tmp_path / "made" / BUNDLE
    files = contents(path)
    manifest = json.loads(files[evidence.MANIFEST])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SECRET.encode() not in b"".join(files.values())
    assert {entry["source"] for entry in manifest["files"]} == set(base_urls())
    coin = next(entry for entry in manifest["files"] if entry["path"].startswith("/coins/usd-coin?"))
    assert json.loads(files[coin["name"]])["id"] == "usd-coin"
    assert coin["url"].startswith("http://127.0.0.1:")
    assert coin["url"].endswith("/…" + coin["path"])
    assert [row["status"] for row in manifest["sources"]] == ["ok"] * 7


async def test_each_file_that_was_changed_is_named(tmp_path):
    await make(tmp_path, MarketData(), "--no-insight", form="json")
    files = contents(tmp_path / "made" / BUNDLE)
    first, second, *_ = sorted(name for name in files if name != evidence.MANIFEST)
    changed = {name: body for name, body in files.items() if name != second} | {
        first: files[first] + b" ",
        "bodies/stranger": b"{}",
    }
    code, paths, said = await again(tmp_path, pack(tmp_path / "changed.zip", changed))
    assert (code, paths) == (3, [])
    assert [line.split()[2] for line in said.splitlines()] == [first, second, "bodies/stranger"]


async def test_a_report_that_comes_out_otherwise_is_named(tmp_path):
    await make(tmp_path, MarketData(), "--no-insight", form="json")
    files = contents(tmp_path / "made" / BUNDLE)
    manifest = json.loads(files[evidence.MANIFEST])
    manifest["insight"]["claims"][0]["text"] = "All is well."
    manifest["version"] = "0.0.1"
    files[evidence.MANIFEST] = json.dumps(manifest).encode()
    code, paths, said = await again(tmp_path, pack(tmp_path / "changed.zip", files))
    assert (code, len(paths)) == (3, 1)
    assert "usd-coin_report.json is not what it was" in said
    assert "made by version 0.0.1" in said


async def test_every_number_of_a_report_is_proved_and_a_changed_one_found(tmp_path):
    await make(tmp_path, MarketData(), "--no-insight", form="json,html")
    made = tmp_path / "made"
    bundle = ("--from-evidence", str(made / BUNDLE))

    async def verify(path, *facts):
        told = [text for name in facts for text in ("--fact", name)]
        return await report(NOWHERE, tmp_path / "again", *bundle, "--verify", str(path), *told)

    code, lines, said = await verify(made / "usd-coin_report.json")
    assert (code, len(lines) > 50, {line.split()[0] for line in lines}) == (0, True, {"same"}), said
    assert not (tmp_path / "again").exists()
    assert (await verify(made / "usd-coin_report.html"))[0] == 0

    told = json.loads((made / "usd-coin_report.json").read_bytes())
    price, cap = (next(fact for fact in told["facts"] if fact["id"] == name) for name in ("price", "market_cap"))
    price["value"] += 1e-9
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(told))
    code, lines, _ = await verify(changed)
    assert (code, [line for line in lines if not line.startswith("same")]) == (
        3,
        [f"DIFFERS price: the report says {price['value']} usd, the evidence {price['value'] - 1e-9} usd"],
    )
    assert (await verify(changed, "market_cap"))[:2] == (0, [f"same   market_cap: {cap['value']} usd"])
    assert (await verify(changed, "price"))[0] == 3
    assert (await verify(changed, "no_such_fact"))[0] == 2
    (tmp_path / "list.json").write_text("[]")
    for path in (tmp_path / "list.json", tmp_path / "absent.json", tmp_path / "report.doc"):
        code, _, said = await verify(path)
        assert (code, "Traceback" in said) == (2, False), said
    assert (await report(NOWHERE, tmp_path, "usd-coin", USDC, "--verify", str(changed)))[0] == 2


async def test_what_is_no_evidence_is_said_so(tmp_path):
    (tmp_path / "text.zip").write_text("no zip")
    pack(tmp_path / "empty.zip", {"other": b""})
    pack(tmp_path / "list.zip", {evidence.MANIFEST: b"[]"})
    asked = ("usd-coin", USDC, "--sample", "--no-insight", "--evidence", "--format", "json")
    await report(NOWHERE, tmp_path / "made", *asked)
    code, paths, said = await again(tmp_path, tmp_path / "made" / BUNDLE, "tether")
    assert (code, paths, "a report about usd-coin" in said) == (2, [], True)
    for name in ("text.zip", "empty.zip", "list.zip", "absent.zip"):
        code, paths, said = await again(tmp_path, tmp_path / name)
        assert (code, paths, "Traceback" in said) == (2, [], False)
        assert name in said


async def test_the_data_apis_are_asked_where_the_command_line_says(tmp_path):
    market = MarketData()
    async with served(market) as origin:
        bases = [text for name, url in base_urls(origin).items() for text in ("--provider-base", f"{name}={url}")]
        asked = ("usd-coin", USDC, "--no-insight", "--format", "json")
        code, _, said = await report(NOWHERE, tmp_path, *asked, *bases)
    assert (code, len(market.calls)) == (0, 7), said
    for wrong in ("coingecko", "nobody=http://127.0.0.1", "coingecko=ftp://x"):
        code, _, said = await report(NOWHERE, tmp_path, *asked, "--provider-base", wrong)
        assert (code, wrong in said) == (2, True)
