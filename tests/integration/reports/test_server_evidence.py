"""Evidence as a server keeps it: whole whatever was killed, its owner's alone, gone after its time."""

import asyncio
import io
import json
import signal
import zipfile

import pytest

from services.reports.artifacts import ArtifactFolder
from services.reports.relay import Sweeper
from services.reports.store.jobs import JobStore
from services.reports.store.work import WorkStore
from shared import clock
from tests.fakes.market_data import MarketData, base_urls, served
from tests.integration.reports.desk import SAMPLE, service
from tests.integration.reports.test_command_line import report
from tests.integration.reports.test_kill import gateway, worker

pytestmark = pytest.mark.timeout(300)
ADMIN = {"x-tollway-admin": "1"}
SECRET = "sk-not-to-be-kept"
REAL = {**SAMPLE, "sample": False, "insight": True, "formats": ["html", "json"]}


def with_keys(origin):
    return {name: {"base_url": base, "api_key": SECRET} for name, base in base_urls(origin).items()}


async def fetched(client, job, headers=ADMIN):
    return await client("GET", f"/v1/reports/{job['id']}/evidence.zip", headers=headers)


def bodies(packed):
    with zipfile.ZipFile(io.BytesIO(packed)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


async def check_made_again(client, tmp_path, job):
    """The files of the job come out of its evidence byte by byte, without a network."""
    status, packed = await fetched(client, job)
    assert status == 200
    (tmp_path / "bundle.zip").write_bytes(packed)
    out = tmp_path / "again"
    code, paths, said = await report("http://127.0.0.1:9", out, "--from-evidence", str(tmp_path / "bundle.zip"))
    assert (code, len(paths)) == (0, 2), said
    for artifact in job["artifacts"]:
        made = await client.artifact(job, artifact["format"])
        assert (out / f"usd-coin_report.{artifact['format']}").read_bytes() == made
    return bodies(packed)


@pytest.mark.parametrize("kill", ["kept:resolve", "kept:fetch", "after:compute", "kept:insight", "after:store"])
async def test_a_job_taken_over_has_all_of_its_evidence(tmp_path, kill):
    market = MarketData()
    async with gateway() as (url, calls), served(market) as origin, service(tmp_path, workers=()) as client:
        environment, sources = {"tollway_url": url}, with_keys(origin)
        job = await client.post(REAL)
        async with worker(tmp_path, environment, kill=kill, sources=sources) as doomed, asyncio.timeout(60):
            assert await doomed.wait() == -signal.SIGKILL
        async with worker(tmp_path, environment, sources=sources):
            ended = await client.ended(job["id"])
        files = await check_made_again(client, tmp_path, ended)
    manifest = json.loads(files["manifest.json"])
    assert (ended["attempt"], calls["report_insight"]) == (2, 1)
    # Two questions of the first stage, and those of the second.
    assert any("/contract/" in entry["path"] or "/coins/usd-coin" in entry["path"] for entry in manifest["files"])
    assert {entry["source"] for entry in manifest["files"]} == set(base_urls())
    assert SECRET.encode() not in b"".join(files.values())


async def test_evidence_is_for_its_owner_and_an_admin(tmp_path):
    async with service(tmp_path) as client:
        job = await client.ended((await client.post(x_tollway_key_id="alice"))["id"])
        for headers, expected in (
            (ADMIN, 200),
            ({"x-tollway-key-id": "alice"}, 200),
            ({"x-tollway-key-id": "bob"}, 404),
        ):
            assert (await fetched(client, job, headers))[0] == expected
        assert job["evidence"]["url"] == f"/v1/reports/{job['id']}/evidence.zip"
        assert [artifact["format"] for artifact in job["artifacts"]] == ["html"]
        assert (await client("GET", f"/v1/reports/{job['id']}/artifact.zip", headers=ADMIN))[0] == 404


async def test_evidence_is_not_there_before_the_end_nor_of_what_has_none(tmp_path):
    async with service(tmp_path, workers=()) as client:
        job = await client.post()
        assert (await fetched(client, job))[0] == 409
        await client("POST", f"/v1/reports/{job['id']}/cancel")
        assert (await fetched(client, job))[0] == 404
        usage = await client.post({"type": "usage"})
        assert (await fetched(client, usage))[0] == 404


async def test_evidence_goes_before_the_report_does(tmp_path, monkeypatch):
    async with service(tmp_path, reports={"retention_days": 30, "evidence_days": 7}) as client:
        job = await client.ended((await client.post())["id"])
        database = client.resources.database
        folder = ArtifactFolder(tmp_path / "data" / "reports")
        sweeper = Sweeper(WorkStore(database), JobStore(database), folder, "h/1/x", database.ready, lambda: None)
        for days, evidence, artifact in ((6, 200, 200), (8, 410, 200), (31, 410, 410)):
            now = clock.now() + days * 86_400
            with monkeypatch.context() as later:
                later.setattr("services.reports.relay.clock.now", lambda now=now: now)
                await sweeper.forget()
            assert (await fetched(client, job))[0] == evidence
            assert (await client("GET", f"/v1/reports/{job['id']}/artifact.html", headers=ADMIN))[0] == artifact
            _, told = await client("GET", f"/v1/reports/{job['id']}", headers=ADMIN)
            assert (told["evidence"] is None) == (evidence == 410)


async def test_whom_the_owner_tells_is_not_in_the_evidence(tmp_path):
    async with service(tmp_path, byo={"allow_hosts": ["127.0.0.1"]}) as client:
        job = await client.ended(
            (await client.post({**SAMPLE, "webhook_url": "http://127.0.0.1:9/token-of-mine"}))["id"]
        )
        _, packed = await fetched(client, job)
        assert b"token-of-mine" not in b"".join(bodies(packed).values())
