"""RabbitMQ or Postgres killed and started again on the same data while jobs are built: every job still ends, once."""

import asyncio
import tempfile
from collections import Counter
from pathlib import Path

import pytest

from chaos.servers import Server
from shared.errors import TollwayError
from tests.conftest import missing
from tests.integration.reports.desk import SAMPLE, service
from tests.integration.reports.test_kill import check_one_artifact, gateway, worker
from tests.servers import Unavailable

pytestmark = pytest.mark.timeout(400)
JOBS = 3


@pytest.fixture
def servers():
    """A broker and a database of the test's own, since others use the run's."""
    with tempfile.TemporaryDirectory(prefix="tollway-restarts-", ignore_cleanup_errors=True) as folder:
        started = {}
        for kind in ("rabbitmq", "postgres"):
            try:
                started[kind] = Server(kind, Path(folder))
            except Unavailable as reason:
                missing(kind, str(reason))
        for server in started.values():
            server.start()
        yield started
        for server in started.values():
            server.kill()


async def states(client):
    """The jobs by status; none while the database is away."""
    try:
        _, page = await client("GET", "/v1/reports", headers={"x-tollway-admin": "1"})
    except TollwayError:
        return Counter()
    return Counter(job["status"] for job in page.get("data", []))


async def ended(client, job_id):
    """As `client.ended`, through a database that is away for a while."""
    while True:
        try:
            status, job = await client("GET", f"/v1/reports/{job_id}?wait=5", headers={"x-tollway-admin": "1"})
        except TollwayError:
            continue
        if status == 200 and job["status"] not in ("queued", "running"):
            return job
        await asyncio.sleep(0.2)


@pytest.mark.parametrize("victims", [("rabbitmq",), ("postgres",), ("rabbitmq", "postgres")], ids="+".join)
async def test_jobs_end_once_although_a_server_is_killed_and_comes_back(tmp_path, servers, victims):
    environment = {"tollway_database_url": servers["postgres"].url, "tollway_bus_url": servers["rabbitmq"].url}
    async with (
        gateway() as (url, calls),
        service(tmp_path, workers=("relay", "sweeper"), environment=environment) as client,
        worker(tmp_path, environment | {"tollway_url": url}),
        asyncio.timeout(270),
    ):
        # About a period of its own each: of the same facts the model is asked once.
        asked = [{**SAMPLE, "insight": True, "formats": ["html"], "days": 90 + number} for number in range(JOBS)]
        jobs = [await client.post(body, idempotency_key=str(body["days"])) for body in asked]
        while not (await states(client))["running"]:
            await asyncio.sleep(0.05)
        for kind in victims:
            await asyncio.to_thread(servers[kind].kill)
        for kind in victims:
            await asyncio.to_thread(servers[kind].start)
        for job in jobs:
            await check_one_artifact(client, tmp_path, await ended(client, job["id"]))
        assert await states(client) == {"succeeded": JOBS}
        # At most the one call that was under way when the database went is asked again.
        assert JOBS <= calls["report_insight"] <= JOBS + 1
