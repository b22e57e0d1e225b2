"""The data providers' clients against the fake providers: shapes, refusals, lies and hostile text."""

import asyncio
from dataclasses import dataclass

import pytest

from services.reports.chains import CHAINS
from services.reports.reach import BodyCache
from services.reports.sources import base, coingecko, defillama, reading, sample
from services.reports.sources.base import Answer, Asker, Live, NotKnownError, Pace, SourceError, Subject
from services.reports.sources.gather import NAMES, Sources
from services.reports.sources.tape import Recorder
from shared.cache import make_cache
from tests.fakes.market_data import HOSTILE, USDC, FakeTransport, MarketData, base_urls

NOW_MS = sample.as_of_ms() + 7 * 3_600_000


@dataclass
class Setting:
    base_url: str
    api_key: str = ""
    enabled: bool = True


class DictCache:
    def __init__(self):
        self.bodies = {}

    async def get(self, key):
        return self.bodies.get(key)

    async def put(self, key, body, ttl_seconds):
        self.bodies[key] = body


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    async def at_once(seconds):
        return None

    fields = Asker.__dataclass_fields__["sleep"]
    monkeypatch.setattr(fields, "default", at_once)
    monkeypatch.setattr(
        Asker.__init__, "__defaults__", tuple(at_once if d is asyncio.sleep else d for d in Asker.__init__.__defaults__)
    )


def sources(market, **changes):
    settings = {name: Setting(url, "key" if name == "etherscan" else "") for name, url in base_urls().items()} | changes
    return Sources(FakeTransport(market), DictCache(), lambda: 0.0, lambda: settings)


def subject(market, chain="ethereum"):
    return Subject(market.token, market.address, CHAINS[chain], NOW_MS)


async def gathered(market, **changes):
    return {finding.source: finding for finding in await sources(market, **changes).gather(subject(market), Live())}


@pytest.mark.parametrize("slower", ["/stablecoincharts/", "/summary/fees/"])
async def test_parts_that_fail_are_told_the_same_whichever_failed_first(monkeypatch, slower):
    market, asked = MarketData(asset="large", token="aave"), base.Asker.json
    row = {"gecko_id": "aave", "id": "1", "pegType": "peggedUSD", "circulating": {"peggedUSD": 5.0}}

    async def json(self, path, *rest):
        await asyncio.sleep(0.02 if slower in path else 0)
        if "/stablecoincharts/" in path:
            raise base.SourceError("timeout")
        if "/summary/fees/" in path:
            raise base.SourceError("server_error_500")
        return {"peggedAssets": [row]} if path.startswith("/stablecoins") else await asked(self, path, *rest)

    monkeypatch.setattr(base.Asker, "json", json)
    assert (await gathered(market))["defillama"].reason == "incomplete: server_error_500 and timeout"


async def test_every_source_reads_its_documented_shape():
    market = MarketData()
    found = await gathered(market)
    assert {name: finding.status for name, finding in found.items()} == dict.fromkeys(NAMES, "ok")
    expected = sample.data_set()["assets"]["stable"]
    gecko = found["coingecko"].data
    assert gecko["identity"]["name"] == "Sample Dollar"
    assert gecko["market"]["price"] == expected["coingecko"]["market"]["price"]
    assert gecko["market"]["tvl"] == 12.0
    assert gecko["history"]["price"] == expected["coingecko"]["history"]["price"][-366:]
    assert found["defillama"].data["stable"]["chains"] == expected["defillama"]["stable"]["chains"]
    assert found["goplus"].data["flags"] == expected["goplus"]["flags"]
    assert found["ethplorer"].data["total_supply"] == pytest.approx(expected["ethplorer"]["total_supply"], rel=1e-9)
    assert found["etherscan"].data["verified"] is True
    assert found["etherscan"].reason == "incomplete: rate_limited"


async def test_the_live_last_point_is_not_taken_for_a_close():
    found = await gathered(MarketData())
    history = found["coingecko"].data["history"]
    assert max(history["day"]) == sample.as_of_ms() // 86_400_000
    assert history["price"][-1] == sample.data_set()["assets"]["stable"]["coingecko"]["history"]["price"][-1]


async def test_pools_of_a_fork_under_the_same_address_are_dropped():
    pools = (await gathered(MarketData()))["dexscreener"].data["pools"]
    assert max(pool["liquidity_usd"] for pool in pools) < 1e9


async def test_percent_and_fraction_taxes_come_out_alike():
    found = await gathered(MarketData(asset="suspicious", token="squid-game"))
    assert found["goplus"].data["taxes"]["sell"] == pytest.approx(0.99)
    assert found["honeypot"].data["taxes"]["sell"] == pytest.approx(0.99)


@pytest.mark.parametrize(
    ("scenario", "reason"),
    [
        ("500", "server_error_500"),
        ("429", "rate_limited"),
        ("html", "bad_answer"),
        ("truncated", "bad_answer"),
        ("slow", "timeout"),
        ("down", "unreachable"),
        ("401", "refused"),
    ],
)
@pytest.mark.parametrize("source", NAMES)
async def test_a_source_that_fails_says_why_and_leaves_the_others_alone(source, scenario, reason):
    found = await gathered(MarketData(scenarios={source: scenario}))
    assert (found[source].status, found[source].reason) == ("failed", reason)
    assert all(finding.status == "ok" for name, finding in found.items() if name != source)


@pytest.mark.parametrize("source", [name for name in NAMES if name != "etherscan"])
async def test_a_token_a_source_does_not_know_is_unknown_and_no_failure(source):
    found = await gathered(MarketData(scenarios={source: "404"}))
    assert found[source].status == "unknown"


@pytest.mark.parametrize(
    ("source", "status", "reason"),
    [
        ("dexscreener", "unknown", "token not known there"),
        ("honeypot", "failed", "another_token"),
        ("ethplorer", "failed", "another_token"),
    ],
)
async def test_what_is_said_of_another_token_is_not_taken_for_ours(source, status, reason):
    found = (await gathered(MarketData(scenarios={source: "mismatch"})))[source]
    assert (found.status, found.reason, found.data) == (status, reason, {})


@pytest.mark.parametrize(
    ("source", "asset", "reason"),
    [
        ("coingecko", "large", "no history and venues and ranges and benchmarks"),
        ("defillama", "large", "incomplete: server_error_500"),
        ("defillama", "stable", "incomplete: server_error_500"),
        ("ethplorer", "large", "no holder list"),
    ],
)
async def test_a_source_that_answers_in_part_says_what_is_lacking(source, asset, reason):
    found = (await gathered(MarketData(asset=asset, scenarios={source: "part"})))[source]
    assert (found.status, found.reason) == ("ok", reason)


async def test_a_stamp_of_a_day_to_come_is_none():
    found = {scenario: (await gathered(MarketData(scenarios={"coingecko": scenario})))["coingecko"].as_of
             for scenario in ("ok", "skewed")}  # fmt: skip
    assert found == {"ok": "2026-10-31T00:00:00+00:00", "skewed": None}


async def test_no_number_is_larger_than_a_contract_can_count():
    for asset in ("stable", "large", "suspicious"):
        found = await gathered(MarketData(asset=asset, scenarios=dict.fromkeys(NAMES, "huge")))
        assert [value for finding in found.values() for value in numbers(finding.data) if value > reading.LARGEST] == []


def test_nothing_loses_more_than_all_of_itself():
    assert [reading.change(told) for told in (-100, -100.5, 250, None)] == [-100, None, 250, None]


def test_flows_of_days_to_come_are_none():
    row = {"pegType": "peggedUSD", "circulating": {"peggedUSD": 5.0}}
    points = [{"date": day * 86_400, "totalCirculating": {"peggedUSD": 5.0}} for day in (99, 100, 101, 1e30)]
    assert [day for day, _ in defillama.read_stablecoin(row, points, 100 * reading.DAY_MS)["flow"]] == [99, 100]


@pytest.mark.parametrize("scenario", ["nulls", "missing", "negative", "empty", "hostile", "skewed"])
@pytest.mark.parametrize("source", NAMES)
async def test_lies_and_holes_never_become_numbers_or_errors(source, scenario):
    found = await gathered(MarketData(scenarios={source: scenario}))
    data = found[source].data
    for value in numbers(data):
        assert value == value
        assert value >= 0 or scenario != "negative" or "change" in str(data)
    assert found[source].status in ("ok", "unknown", "failed")


async def test_ranges_and_the_month_of_locked_value_come_back_as_they_were():
    market = MarketData(token="aave", asset="large")
    found = await gathered(market)
    told, kept = found["coingecko"].data["ranges"], market.data("coingecko")["ranges"]
    assert told == {name: pytest.approx(kept[name]) for name in kept}
    locked = found["defillama"].data["protocol"]["change_30d"]
    assert locked == pytest.approx(market.data("defillama")["protocol"]["change_30d"])


async def test_a_protocols_life_that_is_too_long_costs_one_figure_and_no_trust():
    market = MarketData(token="aave", asset="large", long_life=True)
    asked = sources(market)
    for _ in range(6):
        found = {one.source: one for one in await asked.gather(subject(market), Live())}["defillama"]
        assert found.status == "ok"
        assert found.data["protocol"]["change_30d"] is None
        assert found.data["protocol"]["fees_30d"] is not None


def test_only_whole_days_of_candles_count_and_long_candles_are_none():
    day = reading.DAY_MS
    four_hours = [[100 * day + n * day // 6, 5.0, 5.0 + n, 4.0, 5.0] for n in range(1, 7)]
    torn = [[101 * day + n * day // 6, 5.0, 9.0, 1.0, 5.0] for n in (1, 2, 4)]
    lies = [[100 * day + 1, 5.0, 1.0, 2.0, 5.0], [100 * day + 2, 5.0, -3.0, -9.0, 5.0], "x", [1]]
    now = 102 * day + 5
    assert coingecko.read_ranges([*four_hours, *torn, *lies], now) == {"day": [100], "high": [11.0], "low": [4.0]}
    assert coingecko.read_ranges(four_hours, 100 * day + day // 2) is None  # that day is not over
    assert coingecko.read_ranges([[n * 4 * day, 5.0, 6.0, 4.0, 5.0] for n in range(1, 20)], 100 * day) is None
    assert coingecko.read_ranges({"error": "x"}, now) is None


def test_the_month_of_locked_value_needs_a_figure_of_then():
    def points(*held):
        return [{"date": day * 86_400, "totalLiquidityUSD": figure} for day, figure in held]

    assert defillama.read_month_change(points((40, 200.0), (65, 7.0), (70, 220.0), (38, 1.0))) == pytest.approx(10.0)
    assert defillama.read_month_change(points((36, 200.0), (70, 300.0))) == pytest.approx(50.0)
    assert defillama.read_month_change(points((32, 200.0), (70, 300.0))) is None
    assert defillama.read_month_change(points((70, 300.0))) is None
    assert defillama.read_month_change([{"date": "x"}, None, 5]) is None
    assert defillama.read_month_change("no") is None


def numbers(value):
    if isinstance(value, dict):
        for name, inner in value.items():
            if name not in ("changes", "change_1d", "change_7d", "change_30d", "rank", "confidence"):
                yield from numbers(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from numbers(inner)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


async def test_a_source_that_recovers_is_asked_again():
    market = MarketData(scenarios={"honeypot": "flaky"})
    assert (await gathered(market))["honeypot"].status == "ok"
    assert market.calls["honeypot"] == 2


async def test_a_long_retry_after_is_not_waited_for():
    market = MarketData(scenarios={"goplus": "429"})
    await gathered(market)
    assert market.calls["goplus"] == 1


async def test_answers_are_cached_without_the_key_in_the_address():
    market, cache = MarketData(), DictCache()
    settings = {name: Setting(url, "secret-key") for name, url in base_urls().items()}
    asked = Sources(FakeTransport(market), cache, lambda: 0.0, lambda: settings)
    await asked.gather(subject(market), Live())
    before = sum(market.calls.values())
    await asked.gather(subject(market), Live())
    assert market.keys_seen[0] == "secret-key"
    assert sum(market.calls.values()) - before <= 2
    assert not any("secret-key" in key for key in cache.bodies)


async def test_what_comes_from_the_cache_is_evidence_of_when_it_was_fetched(monkeypatch):
    market, cache, now = MarketData(), BodyCache(make_cache("memory://")), [100.0]
    settings = {name: Setting(url, "k") for name, url in base_urls().items()}
    asked = Sources(FakeTransport(market), cache, lambda: 0.0, lambda: settings)
    monkeypatch.setattr("services.reports.sources.base.clock.now", lambda: now[0])
    told = []
    for moment in (100.0, 170.0):
        now[0], tape = moment, Recorder()
        await asked.gather(subject(market), tape)
        told.append(tape.heard())
    answered = [[said for said in heard if said.body is not None] for heard in told]
    assert answered[0] == answered[1]
    assert {said.fetched_at for said in answered[1]} == {100.0}


async def test_a_disabled_source_is_skipped_and_a_foreign_chain_is_unknown():
    market = MarketData()
    found = await gathered(market, goplus=Setting("http://fake/goplus", enabled=False))
    assert found["goplus"].status == "skipped"
    asked = await sources(market).gather(subject(market, "optimism"), Live())
    assert {f.source for f in asked if f.status == "unknown"} >= {"ethplorer", "honeypot"}


async def test_the_address_known_to_coingecko_is_told():
    market = MarketData(scenarios={"coingecko": "mismatch"})
    identity = await sources(market).identify(subject(market), Live())
    assert identity["address"] != USDC


async def test_an_oversized_body_is_refused():
    class Huge:
        async def get(self, url, *, headers, timeout_seconds, max_bytes):
            raise SourceError("too_large")

    asker = Asker("x", "http://fake", Huge(), DictCache(), Pace(100, lambda: 0.0))
    with pytest.raises(SourceError, match="too_large"):
        await asker.json("/a")


async def test_a_host_in_trouble_is_left_alone_for_a_while():
    calls = []

    class Failing:
        async def get(self, url, *, headers, timeout_seconds, max_bytes):
            calls.append(url)
            return Answer(500, {}, b"")

    now = [0.0]
    asker = Asker("x", "http://fake", Failing(), DictCache(), Pace(1000, lambda: now[0]))
    for _ in range(4):
        with pytest.raises(SourceError):
            await asker.json("/a")
    assert len(calls) == base.TROUBLE_LIMIT
    now[0] = base.TROUBLE_PAUSE_SECONDS + 1
    with pytest.raises(SourceError):
        await asker.json("/a")
    assert len(calls) > base.TROUBLE_LIMIT


async def test_a_404_is_told_apart_from_a_failure():
    class Absent:
        async def get(self, url, *, headers, timeout_seconds, max_bytes):
            return Answer(404, {}, b"{}")

    asker = Asker("x", "http://fake", Absent(), DictCache(), Pace(1000, lambda: 0.0))
    with pytest.raises(NotKnownError):
        await asker.json("/a")


def test_a_pace_lets_a_burst_through_and_then_spaces_requests():
    now = [0.0]
    pace = Pace(2.0, lambda: now[0])
    waits = [pace.wait_seconds() for _ in range(5)]
    assert waits == [0.0, 0.0, 0.0, 0.5, 1.0]


def test_hostile_text_loses_controls_and_direction_overrides():
    assert reading.text("a\u202eb\x00c\n d") == "abc d" or reading.text("a\u202eb\x00c\n d") == "abcd"
    assert reading.text("x" * 500) == "x" * 120
    assert reading.text(HOSTILE) == HOSTILE  # escaped where it is shown, not here


@pytest.mark.parametrize("value", [True, None, [], {}, "abc", "nan", "inf", float("nan"), float("inf"), "1e999"])
def test_what_is_no_number_is_none(value):
    assert reading.number(value) is None


def test_the_sample_is_small_and_has_three_assets_of_400_days():
    assert sample.PATH.stat().st_size <= 150_000
    assets = sample.data_set()["assets"]
    assert set(assets) == {"stable", "large", "suspicious"}
    assert all(len(asset["coingecko"]["history"]["day"]) == 400 for asset in assets.values())


def test_the_packaged_sample_is_what_its_script_makes():
    import gzip

    import msgspec

    from services.reports.sources import synthesis

    made = gzip.compress(msgspec.json.encode(synthesis.make()), 9, mtime=0)
    assert gzip.decompress(made) == gzip.decompress(sample.PATH.read_bytes())
