"""A worker killed at every stage, duplicated and reordered offers, two workers on one job: one artefact, one model bill."""

import asyncio
import json
import signal
import sys
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from shared.bus import Message
from tests.integration.reports.desk import SAMPLE, service

# Two fresh processes per test: generous, for machines that are busy with other things.
pytestmark = pytest.mark.timeout(300)
WORKER = Path(__file__).with_name("worker.py")
STAGES = ["resolve", "fetch", "compute", "insight", "render", "store"]
CLAIMS = json.dumps(
    {
        "claims": [
            {"chapter": "market", "text": "It trades at {{f:price}}.", "stance": "neutral"},
            {"chapter": "liquidity", "text": "Pools hold {{f:pool_depth}}.", "stance": "neutral"},
        ]
    }
)


@asynccontextmanager
async def gateway():
    """A gateway that answers with claims and counts what it is asked."""
    calls: Counter[str] = Counter()

    async def complete(request):
        calls[request.headers["x-tollway-function"]] += 1
        calls[(await request.json())["model"]] += 1
        message = {"role": "assistant", "content": CLAIMS}
        return web.json_response({"model": "m", "choices": [{"message": message}], "usage": {"total_tokens": 7}})

    app = web.Application()
    app.router.add_post("/v1/chat/completions", complete)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", calls
    finally:
        await runner.cleanup()


@asynccontextmanager
async def worker(data, environment, **options):
    given = json.dumps({"data": str(data), "environment": environment, **options})
    process = await asyncio.create_subprocess_exec(sys.executable, str(WORKER), given, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(60):
            await process.stdout.readline()
        # What nobody reads fills the pipe, and then its process never counts as ended.
        drained = asyncio.get_running_loop().create_task(process.stdout.read())
        yield process
        drained.cancel()
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.wait()


def files(data, job_id):
    folder = data / "data" / "reports" / job_id
    return sorted(path.name for path in folder.iterdir())


async def check_one_artifact(client, data, job):
    assert job["status"] == "succeeded", job
    kept = [*job["artifacts"], job["evidence"]]
    assert files(data, job["id"]) == sorted(f"{a['sha256']}.{a['format']}" for a in kept)
    for artifact in job["artifacts"]:
        status, body = await client("GET", artifact["url"], headers={"x-tollway-admin": "1"})
        assert status == 200
        assert body


# Before a stage is the same moment as behind the checkpoint of the one before it.
MOMENTS = (
    [f"after:{stage}" for stage in STAGES]
    + [f"kept:{stage}" for stage in STAGES[:-1]]
    + ["before:resolve", "before:store"]
)


@pytest.mark.parametrize("kill", MOMENTS)
async def test_a_worker_killed_at_any_stage_leaves_one_artefact_and_one_bill(tmp_path, kill):
    async with gateway() as (url, calls), service(tmp_path, workers=()) as client:
        environment = {"tollway_url": url}
        job = await client.post({**SAMPLE, "insight": True, "formats": ["html", "json"]})
        async with worker(tmp_path, environment, kill=kill) as doomed, asyncio.timeout(60):
            assert await doomed.wait() == -signal.SIGKILL
        async with worker(tmp_path, environment):
            ended = await client.ended(job["id"])
        await check_one_artifact(client, tmp_path, ended)
        assert ended["attempt"] == 2
        # A kill between the model's answer and the checkpoint is the one moment that costs a second call.
        assert calls["report_insight"] == (2 if kill == "after:insight" else 1)
        assert calls["test-model"] == calls["report_insight"]


async def test_duplicated_and_reordered_offers_build_each_job_once(tmp_path):
    async with service(tmp_path, reports={"workers": 3}) as client:
        jobs = [await client.post() for _ in range(3)]
        for job in reversed(jobs * 3):
            body = json.dumps({"job_id": job["id"]}).encode()
            await client.resources.bus.send("reports.jobs", Message(body))
        for job in jobs:
            ended = await client.ended(job["id"])
            await check_one_artifact(client, tmp_path, ended)
            assert ended["attempt"] == 1


async def test_two_worker_processes_on_one_job_make_one_artefact(tmp_path):
    async with service(tmp_path, workers=()) as client, worker(tmp_path, {}), worker(tmp_path, {}):
        job = await client.post()
        ended = await client.ended(job["id"])
        await check_one_artifact(client, tmp_path, ended)


async def test_a_zombie_that_lost_its_lease_changes_nothing(tmp_path):
    from services.reports.errors import LeaseLostError
    from services.reports.store.work import WorkStore
    from shared import clock

    async with service(tmp_path, workers=()) as client:
        store = WorkStore(client.resources.database)
        job = await client.post()
        zombie, _ = await store.claim(job["id"], "host/1/a", clock.now(), -1, 4)
        heir, _ = await store.claim(job["id"], "host/2/b", clock.now(), 60, 4)
        assert heir.attempt == zombie.attempt + 1
        for deed in (
            store.keep(zombie, "resolve", "h", b"old"),
            store.finish(zombie, lambda held: None, clock.now()),
            store.retry(zombie, clock.now(), "x"),
            store.beat(zombie, clock.now(), 60),
            store.change(zombie, lambda held: None),
        ):
            with pytest.raises(LeaseLostError):
                await deed
        assert await store.kept(heir, "resolve", "h") is None


async def test_the_running_cap_of_an_owner_holds_and_the_rest_follow(tmp_path):
    async with service(tmp_path, reports={"workers": 4, "running_per_owner": 1}) as client:
        jobs = [await client.post() for _ in range(3)]
        most, done = 0, 0
        async with asyncio.timeout(60):
            while done < 3:
                _, page = await client("GET", "/v1/reports", headers={"x-tollway-admin": "1"})
                states = Counter(job["status"] for job in page["data"])
                most, done = max(most, states["running"]), states["succeeded"]
                await asyncio.sleep(0.02)
        assert most == 1
        assert len(jobs) == 3


async def test_postgres_and_rabbitmq_survive_a_kill_at_render(tmp_path, postgres_url, amqp_url):
    environment = {"tollway_database_url": postgres_url, "tollway_bus_url": amqp_url}
    async with gateway() as (url, calls), service(tmp_path, workers=("relay",), environment=environment) as client:
        environment |= {"tollway_url": url}
        job = await client.post({**SAMPLE, "insight": True})
        async with worker(tmp_path, environment, kill="before:render") as doomed, asyncio.timeout(60):
            assert await doomed.wait() == -signal.SIGKILL
        async with worker(tmp_path, environment), worker(tmp_path, environment):
            ended = await client.ended(job["id"], 90)
        await check_one_artifact(client, tmp_path, ended)
        assert calls["report_insight"] == 1
