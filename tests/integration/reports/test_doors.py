"""The doors of report jobs as unusual but legal clients use them."""

import asyncio
import json

import pytest

from services.reports.reach import LocalCaller
from tests.integration.reports.desk import SAMPLE, service

ADMIN = {"x-tollway-admin": "1"}


async def answer_of(client, method, path, headers=None, body=b""):
    """Status, headers and body: what LocalCaller leaves out."""
    told, received = {}, bytearray()

    async def send(message):
        if message["type"] == "http.response.start":
            told["status"] = message["status"]
            told["headers"] = {name.decode(): value.decode() for name, value in message["headers"]}
        received.extend(message.get("body", b""))

    async def app(scope, receive, _):
        await client.part.http(scope, receive, send)
        await _({"type": "http.response.start", "status": told["status"], "headers": []})

    await LocalCaller(lambda: app)(method, path, headers=ADMIN | (headers or {}), body=body)
    return told["status"], told["headers"], bytes(received)


@pytest.mark.parametrize("formats", ["html", ["html"]])
async def test_format_and_formats_may_both_be_there_when_they_agree(tmp_path, formats):
    async with service(tmp_path, workers=()) as client:
        job = await client.post({**SAMPLE, "format": "html", "formats": formats})
        assert job["request"]["formats"] == ["html"]


async def test_a_format_that_contradicts_formats_is_refused_by_name(tmp_path):
    async with service(tmp_path, workers=()) as client:
        status, refused = await client("POST", "/v1/reports", {**SAMPLE, "format": "pdf", "formats": ["html"]})
        assert (status, refused["error"]["param"]) == (422, "format")


async def test_fields_without_meaning_are_told_in_the_job(tmp_path):
    async with service(tmp_path) as client:
        job = await client.post({**SAMPLE, "day": 30})
        assert job["warnings"] == ["ignored: there is no field 'day' in this type of report"]
        ended = await client.ended(job["id"])
        assert (ended["status"], ended["warnings"]) == ("succeeded", job["warnings"])


@pytest.mark.parametrize("levels", [201, 5000])
async def test_nesting_beyond_two_hundred_levels_is_a_bad_request(tmp_path, levels):
    async with service(tmp_path, workers=()) as client:
        nested = json.dumps(SAMPLE)[:-1] + ', "x": ' + "[" * levels + "]" * levels + "}"
        status, refused = await client("POST", "/v1/reports", raw=nested.encode())
        assert (status, refused["error"]["code"]) == (400, "invalid_json")
        flat = {**SAMPLE, "x": "[{" * 400}
        await client.post(flat)


async def test_the_list_filters_by_type_and_refuses_a_cursor_that_was_never_given(tmp_path):
    async with service(tmp_path, workers=()) as client:
        await client.post()
        usage = await client.post({"type": "usage"})
        _, page = await client("GET", "/v1/reports?type=usage", headers=ADMIN)
        assert [job["id"] for job in page["data"]] == [usage["id"]]
        for query, name in (("type=x", "type"), ("cursor=zzz", "cursor"), ("status=x", "status")):
            status, refused = await client("GET", f"/v1/reports?{query}", headers=ADMIN)
            assert (status, refused["error"]["param"]) == (422, name)


async def test_a_list_of_etags_a_weak_one_and_a_star_are_understood(tmp_path):
    async with service(tmp_path) as client:
        job = await client.ended((await client.post())["id"])
        for path in (job["artifacts"][0]["url"], f"/v1/reports/{job['id']}"):
            _, headers, _ = await answer_of(client, "GET", path)
            for told in (headers["etag"], f'"other", W/{headers["etag"]}', "*"):
                status, _, body = await answer_of(client, "GET", path, {"if-none-match": told})
                assert (status, body) == (304, b"")
            assert (await answer_of(client, "GET", path, {"if-none-match": '"other"'}))[0] == 200


async def test_only_the_page_is_sandboxed_since_no_pdf_viewer_starts_in_a_sandbox(tmp_path):
    async with service(tmp_path) as client:
        job = await client.ended((await client.post({**SAMPLE, "formats": ["html", "pdf"]}))["id"])
        sandboxed = {}
        for artifact in job["artifacts"]:
            _, headers, _ = await answer_of(client, "HEAD", artifact["url"])
            sandboxed[artifact["format"]] = "sandbox" in headers.get("content-security-policy", "")
            assert headers["x-content-type-options"] == "nosniff"
        assert sandboxed == {"html": True, "pdf": False}


async def test_a_refused_method_names_all_that_the_address_knows(tmp_path):
    async with service(tmp_path, workers=()) as client:
        for path, allowed in (("/v1/reports", "GET, POST"), ("/v1/reports/x", "DELETE, GET, HEAD")):
            status, headers, _ = await answer_of(client, "PUT", path)
            assert (status, headers["allow"]) == (405, allowed)


async def test_a_number_that_was_never_told_resumes_nowhere(tmp_path):
    async with service(tmp_path) as client:
        job = await client.ended((await client.post())["id"])
        _, _, whole = await answer_of(client, "GET", f"/v1/reports/{job['id']}/events")
        _, _, again = await answer_of(client, "GET", f"/v1/reports/{job['id']}/events", {"last-event-id": "9999"})
        assert whole == again != b""


async def test_a_job_cancelled_while_it_runs_ends_well_within_a_beat(tmp_path):
    """The worker is woken; it does not find out by its next beat only."""
    async with service(tmp_path, reports={"workers": 1}) as client:
        job = await client.post({**SAMPLE, "formats": ["pdf"]})
        async with asyncio.timeout(30):
            while job["stage"] != "compute":
                _, job = await client("GET", f"/v1/reports/{job['id']}", headers=ADMIN)
        async with asyncio.timeout(3):
            await client("POST", f"/v1/reports/{job['id']}/cancel", headers=ADMIN)
            job = await client.ended(job["id"])
        assert job["status"] == "cancelled"
        assert [row["status"] for row in job["stages"]].count("running") == 0


async def test_a_job_deleted_while_it_is_stored_leaves_no_files(tmp_path, monkeypatch):
    from services.reports.artifacts import ArtifactFolder

    settle, settled, go = ArtifactFolder.settle, asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def held(self, *arguments):
        loop.call_soon_threadsafe(settled.set)
        asyncio.run_coroutine_threadsafe(go.wait(), loop).result(30)
        return settle(self, *arguments)

    monkeypatch.setattr(ArtifactFolder, "settle", held)
    async with service(tmp_path) as client:
        job = await client.post()
        async with asyncio.timeout(60):
            await settled.wait()
            status, _ = await client("DELETE", f"/v1/reports/{job['id']}", headers=ADMIN)
            assert status == 204
            go.set()
            folder = tmp_path / "data" / "reports" / job["id"]
            while folder.exists():
                await asyncio.sleep(0.05)
