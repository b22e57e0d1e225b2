"""The job resource over its HTTP surface: progress, owners, keys, cancelling, deleting, retention, webhooks."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from services.reports import plan
from services.reports.store.jobs import JobStore
from services.reports.store.outbox import Outbox
from services.reports.webhooks import signature
from shared import clock
from shared.bus import Message
from tests.fakes.market_data import MarketData, base_urls, served
from tests.integration.reports.desk import SAMPLE, USDC, service

ADMIN = {"x-tollway-admin": "1"}
LIVE = {"type": "token", "token": "usd-coin", "address": USDC, "insight": False}


def owner(name):
    return {"x-tollway-key-id": name}


def frames(raw):
    found = []
    for block in raw.decode().strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            found.append((int(lines["id"]), json.loads(lines["data"])))
    return found


async def test_progress_is_streamed_from_first_to_last_and_resumes(tmp_path):
    async with service(tmp_path) as client:
        job = await client.post()
        _, raw = await client("GET", f"/v1/reports/{job['id']}/events", headers=ADMIN)
        told = frames(raw)
        ids = [number for number, _ in told]
        assert ids == list(range(1, len(ids) + 1))
        assert told[0][1]["status"] == "queued"
        assert told[-1][1]["status"] == "succeeded"
        progress = [body["progress"] for _, body in told]
        assert progress == sorted(progress)
        assert progress[-1] == 1.0
        _, raw = await client("GET", f"/v1/reports/{job['id']}/events", headers={**ADMIN, "last-event-id": "5"})
        assert [number for number, _ in frames(raw)] == ids[5:]
        seen = {**ADMIN, "last-event-id": str(ids[-1])}
        _, raw = await client("GET", f"/v1/reports/{job['id']}/events", headers=seen)
        assert raw == b""
        stages = told[-1][1]["stages"]
        assert all(stage["status"] == "done" and stage["started"] <= stage["ended"] for stage in stages)


async def test_another_owners_job_does_not_exist_for_one(tmp_path):
    async with service(tmp_path) as client:
        status, job = await client("POST", "/v1/reports", SAMPLE, owner("alice"))
        assert status == 202
        path = f"/v1/reports/{job['id']}"
        await client.ended(job["id"])
        for method, place in (
            ("GET", ""),
            ("GET", "/events"),
            ("GET", "/artifact.html"),
            ("POST", "/cancel"),
            ("DELETE", ""),
        ):
            status, body = await client(method, path + place, headers=owner("bob"))
            assert (status, body["error"]["code"]) == (404, "not_found")
        assert (await client("GET", "/v1/reports", headers=owner("bob")))[1]["data"] == []
        assert (await client("GET", path, headers=owner("alice")))[0] == 200
        assert (await client("GET", path, headers=ADMIN))[0] == 200


async def test_without_the_internal_token_nobody_is_let_in(tmp_path):
    environment = {"tollway_internal_token": "between-us"}
    async with service(tmp_path, workers=(), environment=environment) as client:
        assert (await client("POST", "/v1/reports", SAMPLE, ADMIN))[0] == 401
        assert (await client("GET", "/v1/reports", headers=ADMIN))[0] == 401
        assert (await client("GET", "/v1/reports", headers={**ADMIN, "x-tollway-internal": "between-us"}))[0] == 200


async def test_an_idempotency_key_makes_one_job_even_at_the_same_moment(tmp_path):
    async with service(tmp_path, workers=()) as client:
        jobs = await asyncio.gather(*(client.post(idempotency_key="k") for _ in range(5)))
        assert len({job["id"] for job in jobs}) == 1
        status, body = await client("POST", "/v1/reports", {**SAMPLE, "days": 7}, {"idempotency-key": "k"})
        assert (status, body["error"]["code"]) == (409, "idempotency_key_reused")
        status, other = await client("POST", "/v1/reports", SAMPLE, {"idempotency-key": "k", **owner("bob")})
        assert status == 202
        assert other["id"] != jobs[0]["id"]


async def test_an_artefact_is_found_by_its_url_and_told_apart_by_its_hash(tmp_path):
    async with service(tmp_path) as client:
        job = await client.post({**SAMPLE, "formats": ["html", "json", "csv"]})
        assert (await client("GET", f"/v1/reports/{job['id']}/artifact.html", headers=ADMIN))[0] in (409, 200)
        ended = await client.ended(job["id"])
        assert [artifact["format"] for artifact in ended["artifacts"]] == ["html", "json", "csv"]
        status, page = await client("GET", ended["artifacts"][0]["url"], headers=ADMIN)
        assert (status, len(page)) == (200, ended["artifacts"][0]["bytes"])
        etag = f'"{ended["artifacts"][0]["sha256"]}"'
        assert (await client("GET", ended["artifacts"][0]["url"], headers={**ADMIN, "if-none-match": etag}))[0] == 304
        status, part = await client("GET", ended["artifacts"][0]["url"], headers={**ADMIN, "range": "bytes=0-14"})
        assert (status, part) == (206, b"<!doctype html>")
        for missing in ("pdf", "exe"):
            assert (await client("GET", f"/v1/reports/{job['id']}/artifact.{missing}", headers=ADMIN))[0] == 404


async def test_a_queued_job_is_cancelled_at_once_and_twice_is_the_same(tmp_path):
    async with service(tmp_path, workers=()) as client:
        job = await client.post()
        path = f"/v1/reports/{job['id']}"
        assert (await client("GET", path + "/artifact.html", headers=ADMIN))[0] == 409
        for _ in range(2):
            status, body = await client("POST", path + "/cancel", headers=ADMIN)
            assert (status, body["status"]) == (200, "cancelled")
        assert (await client("GET", path + "/artifact.html", headers=ADMIN))[0] == 404


async def test_a_running_job_is_cancelled_and_its_processes_end(tmp_path, monkeypatch):
    monkeypatch.setattr("services.reports.build.BEAT_SECONDS", 0.05)
    market = MarketData(scenarios={"coingecko": "slow"})
    async with served(market) as origin, service(tmp_path, reports=live(origin)) as client:
        job = await client.post(LIVE)
        async with asyncio.timeout(20):
            while (await client("GET", f"/v1/reports/{job['id']}", headers=ADMIN))[1]["stage"] is None:
                await asyncio.sleep(0.02)
        status, body = await client("POST", f"/v1/reports/{job['id']}/cancel", headers=ADMIN)
        assert (status, body["cancel_requested"]) == (200, True)
        ended = await client.ended(job["id"], 5)
        assert (ended["status"], ended["artifacts"]) == ("cancelled", [])


async def test_a_worker_that_is_stopped_gives_its_job_back_at_once(tmp_path):
    market = MarketData(scenarios={"coingecko": "slow"})
    async with served(market) as origin:
        async with service(tmp_path, reports=live(origin)) as client:
            job = await client.post(LIVE)
            async with asyncio.timeout(20):
                while (await client("GET", f"/v1/reports/{job['id']}", headers=ADMIN))[1]["stage"] is None:
                    await asyncio.sleep(0.02)
        market.scenarios = {}
        async with service(tmp_path, reports=live(origin, etherscan={"enabled": False})) as client:
            _, found = await client("GET", f"/v1/reports/{job['id']}", headers=ADMIN)
            assert found["attempt"] == 1
            ended = await client.ended(job["id"], 15)
            assert (ended["status"], ended["attempt"]) == ("succeeded", 2)


async def test_a_deleted_job_is_gone_with_its_files(tmp_path):
    async with service(tmp_path) as client:
        job = await client.post()
        await client.ended(job["id"])
        folder = tmp_path / "data" / "reports" / job["id"]
        assert folder.exists()
        assert (await client("DELETE", f"/v1/reports/{job['id']}", headers=ADMIN))[0] == 204
        assert not folder.exists()
        assert (await client("GET", f"/v1/reports/{job['id']}", headers=ADMIN))[0] == 404


async def test_artefacts_go_after_their_time_and_the_job_says_so(tmp_path, monkeypatch):
    from services.reports.artifacts import ArtifactFolder
    from services.reports.relay import Sweeper
    from services.reports.store.work import WorkStore

    async with service(tmp_path) as client:
        job = await client.post()
        await client.ended(job["id"])
        database = client.resources.database
        folder = ArtifactFolder(tmp_path / "data" / "reports")
        sweeper = Sweeper(WorkStore(database), JobStore(database), folder, "h/1/x", database.ready, lambda: None)
        later = clock.now() + 31 * 86_400
        monkeypatch.setattr("shared.clock.now", lambda: later)
        await sweeper.forget()
        assert (await client("GET", f"/v1/reports/{job['id']}/artifact.html", headers=ADMIN))[0] == 410
        assert not (tmp_path / "data" / "reports" / job["id"]).exists()
        monkeypatch.setattr("shared.clock.now", lambda: later + 366 * 86_400)
        await sweeper.forget()
        assert (await client("GET", f"/v1/reports/{job['id']}", headers=ADMIN))[0] == 404


async def test_lists_are_paged_newest_first(tmp_path):
    async with service(tmp_path, workers=()) as client:
        made = [(await client.post())["id"] for _ in range(5)]
        found, cursor = [], ""
        while cursor is not None:
            suffix = f"&cursor={cursor}" if cursor else ""
            _, page = await client("GET", f"/v1/reports?limit=2{suffix}", headers=ADMIN)
            found += [job["id"] for job in page["data"]]
            cursor = page["next_cursor"]
        assert found == made[::-1]
        assert (await client("GET", "/v1/reports?status=succeeded", headers=ADMIN))[1]["data"] == []
        assert (await client("GET", "/v1/reports?status=done", headers=ADMIN))[0] == 422
        assert (await client("GET", "/v1/reports?limit=0", headers=ADMIN))[0] == 422


async def test_an_address_of_another_token_fails_the_job_for_good(tmp_path):
    async with service(tmp_path) as client:
        job = await client.post({**SAMPLE, "address": "0xdac17f958d2ee523a2206206994597c13d831ec7"})
        ended = await client.ended(job["id"])
        assert (ended["status"], ended["error"]["code"]) == ("failed", "token_mismatch")
        assert ended["attempt"] == 1


def live(origin, **changes):
    sources = {
        name: {"base_url": url, "api_key": "k" if name == "etherscan" else ""}
        for name, url in base_urls(origin).items()
    }
    return {"data_sources": sources | changes}


async def test_live_sources_make_a_report_and_a_missing_one_makes_it_partial(tmp_path):
    market = MarketData()
    async with (
        served(market) as origin,
        service(tmp_path, reports=live(origin, etherscan={"enabled": False})) as client,
    ):
        ended = await client.ended((await client.post(LIVE))["id"])
        assert (ended["status"], ended["warnings"]) == ("succeeded", [])
        page = (await client("GET", ended["artifacts"][0]["url"], headers=ADMIN))[1].decode()
        assert "sample data" not in page
        assert "Data powered by CoinGecko" in page


@pytest.mark.parametrize("scenario", ["500", "429", "html", "truncated", "401"])
async def test_a_source_in_trouble_leaves_a_partial_report_with_the_reason(tmp_path, scenario):
    market = MarketData(scenarios={"goplus": scenario, "dexscreener": "hostile", "coingecko": "hostile"})
    async with served(market) as origin, service(tmp_path, reports=live(origin)) as client:
        ended = await client.ended((await client.post({**LIVE, "formats": ["html", "json"]}))["id"])
        assert ended["status"] == "partial"
        assert any(warning.startswith("goplus: ") for warning in ended["warnings"])
        page = (await client("GET", ended["artifacts"][0]["url"], headers=ADMIN))[1].decode()
        assert "<script" not in page.lower()
        assert "&lt;script&gt;" in page
        _, facts = await client("GET", ended["artifacts"][1]["url"], headers=ADMIN)
        owner_share = next(fact for fact in facts["facts"] if fact["id"] == "owner_share")
        assert (owner_share["value"], owner_share["reason"]) == (None, "source_failed")


async def test_with_every_source_down_the_report_is_partial_and_says_nothing(tmp_path):
    dead = {name: {"base_url": "http://127.0.0.1:9"} for name in base_urls()}
    async with service(tmp_path, reports={"data_sources": dead}) as client:
        ended = await client.ended((await client.post({**LIVE, "formats": ["json"]}))["id"])
        assert ended["status"] == "partial"
        assert ended["warnings"][0] == "no source gave any data"
        assert len(ended["warnings"]) == 8
        _, facts = await client("GET", ended["artifacts"][0]["url"], headers=ADMIN)
        assert all(fact["value"] is None for fact in facts["facts"])


async def test_a_token_nobody_knows_fails_and_a_mismatch_is_told(tmp_path):
    market = MarketData(scenarios=dict.fromkeys(base_urls(), "404"))
    async with (
        served(market) as origin,
        service(tmp_path, reports=live(origin, etherscan={"enabled": False})) as client,
    ):
        ended = await client.ended((await client.post(LIVE))["id"])
        assert (ended["status"], ended["error"]["code"]) == ("failed", "token_unknown")
        market.scenarios = {"coingecko": "mismatch"}
        ended = await client.ended((await client.post({**LIVE, "days": 30}))["id"])
        assert (ended["status"], ended["error"]["code"]) == ("failed", "token_mismatch")


async def test_a_bug_gets_one_more_try_and_then_the_job_fails(tmp_path, monkeypatch):
    monkeypatch.setattr("services.reports.build.RETRY_SECONDS", (0,))

    async def broken(self, request):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("services.reports.foreman.Foreman.run", broken)
    async with service(tmp_path) as client:
        ended = await client.ended((await client.post())["id"])
        assert (ended["status"], ended["error"]["code"], ended["attempt"]) == ("failed", "internal_error", 2)
        assert "ZeroDivision" not in json.dumps(ended)


async def test_a_renderer_that_dies_is_tried_again_and_the_stages_before_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("services.reports.build.RETRY_SECONDS", (0,))
    from services.reports.errors import WorkshopError
    from services.reports.foreman import Foreman

    worked, asked = Foreman.run, []

    async def dies_once(self, request):
        asked.append(request["work"])
        if asked.count("render") == 1 and request["work"] == "render":
            raise WorkshopError("killed")
        return await worked(self, request)

    monkeypatch.setattr(Foreman, "run", dies_once)
    async with service(tmp_path) as client:
        ended = await client.ended((await client.post())["id"])
        assert (ended["status"], ended["attempt"]) == ("succeeded", 2)
        assert asked == ["analyse", "render", "render"]


@pytest.mark.parametrize("deed", ["claim", "change", "keep", "finish"])
async def test_a_database_that_goes_away_in_the_middle_does_not_lose_the_job(tmp_path, monkeypatch, deed):
    from services.reports.store.work import WorkStore
    from shared.errors import DatabaseUnavailable

    monkeypatch.setattr("services.reports.build.RETRY_SECONDS", (0,))
    monkeypatch.setattr("services.reports.consumers.PAUSES_SECONDS", (0.01,) * 20)
    worked, left = getattr(WorkStore, deed), [3]

    async def away(self, *arguments, **named):
        if left[0]:
            left[0] -= 1
            raise DatabaseUnavailable
        return await worked(self, *arguments, **named)

    monkeypatch.setattr(WorkStore, deed, away)
    async with service(tmp_path) as client:
        ended = await client.ended((await client.post())["id"])
        assert ended["status"] == "succeeded"
        assert left == [0]


async def test_an_unreadable_offer_goes_to_the_dead_letters(tmp_path, eventually):
    async with service(tmp_path) as client:
        await client.resources.bus.declare(*plan.QUEUES)
        await client.resources.bus.send(plan.QUEUE, Message(b"not json"))

        async def buried():
            return await client.resources.bus.depth(plan.DEAD_QUEUE) == 1

        await eventually(buried)
        assert (await client.ended((await client.post())["id"]))["status"] == "succeeded"


@asynccontextmanager
async def receiver(answers):
    """Takes webhooks; answers with the given statuses in turn."""
    got: list[tuple[dict, bytes]] = []
    arrived = asyncio.Event()

    async def take(request):
        got.append((dict(request.headers), await request.read()))
        status = answers[min(len(got), len(answers)) - 1]
        if status < 300:
            arrived.set()
        return web.Response(status=status)

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook", got, arrived
    finally:
        await runner.cleanup()


async def test_a_webhook_is_signed_repeated_until_taken_and_keeps_its_id(tmp_path, monkeypatch):
    monkeypatch.setattr("services.reports.relay.WEBHOOK_SECONDS", (0, 0, 0))
    async with (
        receiver([500, 302, 200]) as (url, got, arrived),
        service(tmp_path, byo={"allow_private": True}) as client,
    ):
        job = await client.post({**SAMPLE, "webhook_url": url})
        assert job["webhook_secret"].startswith("whsec_")
        async with asyncio.timeout(30):
            await arrived.wait()
        assert len(got) == 3
        assert len({headers["webhook-id"] for headers, _ in got}) == 1
        headers, body = got[-1]
        expected = signature(job["webhook_secret"], headers["webhook-id"], int(headers["webhook-timestamp"]), body)
        assert headers["webhook-signature"] == expected
        told = json.loads(body)
        assert (told["type"], told["data"]["id"]) == ("report.succeeded", job["id"])
        _, again = await client("GET", f"/v1/reports/{job['id']}", headers=ADMIN)
        assert "webhook_secret" not in again
        assert url not in json.dumps(again)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/x",
        "http://localhost/x",
        "http://169.254.169.254/",
        "http://[::1]/",
        "file:///etc/passwd",
        "http://u:p@example.com/",
    ],
)
async def test_a_webhook_to_a_private_address_is_refused_in_the_same_words(tmp_path, url):
    async with service(tmp_path, workers=()) as client:
        status, body = await client("POST", "/v1/reports", {**SAMPLE, "webhook_url": url})
        assert (status, body["error"]["param"]) == (422, "webhook_url")
        assert body["error"]["message"].startswith("webhook_url: this address is not reached")


async def test_offers_wait_in_the_outbox_while_the_bus_is_away(tmp_path, eventually):
    async with service(tmp_path, workers=()) as client:
        job = await client.post()
        waiting = await Outbox(client.resources.database).take("job", clock.now())
        assert [parcel.job_id for parcel in waiting] == [job["id"]]
        assert await Outbox(client.resources.database).take("job", clock.now()) == []


async def test_a_restart_with_an_emptied_bus_still_builds_what_was_queued(tmp_path):
    async with service(tmp_path, workers=("relay",)) as client:
        job = await client.post()
        async with asyncio.timeout(10):
            while not await client.resources.bus.depth(plan.QUEUE):
                await asyncio.sleep(0.02)
    async with service(tmp_path) as client:
        assert (await client.ended(job["id"]))["status"] == "succeeded"
