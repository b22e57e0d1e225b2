"""The typed client speaks the documented surfaces and says clearly what went wrong."""

import httpx2
import pytest
from tollway import ServerError, ServerUnreachableError, TollwayError
from tollway.client import AsyncTollwayClient, TollwayClient
from tollway.errors import RefusedError


def job(status="queued", **more):
    return {"id": "j/1", "type": "token", "status": status, "progress": 0.5, "artifacts": [], "future": 1, **more}


class Server:
    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    def __call__(self, request):
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx2.Response) else httpx2.Response(200, json=answer)

    def client(self):
        return TollwayClient("http://gate", "key", transport=httpx2.MockTransport(self))


def test_a_report_job_from_order_to_file(tmp_path):
    artifact = {"format": "html", "bytes": 3, "sha256": "0", "url": "http://gate/v1/reports/j%2F1/artifact.html"}
    server = Server(
        httpx2.Response(202, json=job()),
        job("running"),
        job("succeeded", artifacts=[artifact]),
        httpx2.Response(200, content=b"<p>"),
    )
    client = server.client()
    made = client.reports.create_token_report("usd-coin", "0xa0", sample=True, insight=False, idempotency_key="k")
    done = client.reports.wait(made.id, timeout=5, every=0.001)
    assert client.reports.save(done, tmp_path / "out" / "r.html").read_bytes() == b"<p>"
    order = server.requests[0]
    assert order.headers["idempotency-key"] == "k"
    assert order.headers["authorization"] == "Bearer key"
    assert order.content == b'{"type":"token","token":"usd-coin","address":"0xa0","insight":false,"sample":true}'
    assert server.requests[1].url.raw_path == b"/v1/reports/j%2F1"
    assert (made.finished, done.finished, done.future) == (False, True, 1)
    with pytest.raises(KeyError, match="no pdf artifact"):
        done.artifact("pdf")


def test_a_link_to_another_host_does_not_get_the_key():
    server = Server()
    stolen = {"success": True, "report_path": "r", "download_url": "http://evil/r"}
    server.answers = [stolen]
    client = server.client()
    report = client.usage.export_report()
    with pytest.raises(TollwayError, match="another host"):
        client.usage.download_report(report)
    assert len(server.requests) == 1


def test_events_of_a_job_can_be_resumed():
    failed = '{"id": "j", "status": "failed", "error": {"message": "no", "code": "x"}}'
    body = f': ping\n\nid: 3\ndata: {{"id": "j", "status": "running"}}\n\nid: 4\ndata: {failed}\n\n'
    server = Server(httpx2.Response(200, content=body, headers={"content-type": "text/event-stream"}))
    steps = list(server.client().reports.events("j", last_event_id="2"))
    assert [(step.id, step.job.status) for step in steps] == [("3", "running"), ("4", "failed")]
    assert steps[-1].job.error.code == "x"
    assert server.requests[0].headers["last-event-id"] == "2"


def test_pages_of_events_are_followed():
    event = {"event_id": "e", "kind": "model", "cost": None}
    server = Server({"events": [event], "next_cursor": "n"}, {"events": [event], "next_cursor": None})
    assert len(list(server.client().usage.events(session_id="s", page=1))) == 2
    assert dict(server.requests[1].url.params) == {"session_id": "s", "limit": "1", "cursor": "n"}


def test_usage_queries_have_types():
    server = Server(
        {"current_hour": {"calls": 1, "tokens": 2, "cost": 0.5, "success_rate": 100}, "today": {"calls": 1}},
        {"period": "daily", "date": "2026-11-21", "total_calls": 3, "by_model": {"m": {"calls": 3, "cost": 1.5}}},
        {"period_days": 7, "top_users": [{"user_id": "u", "calls": 1, "tokens": 2, "cost": 3.0}]},
        {"period_days": 2, "data": [{"date": "2026-11-20", "cost": 1.0}]},
        {"calls": 0, "tokens": 0, "cost": 0},
        {
            "by": "model",
            "period_days": 7,
            "data": [{"name": "m", "calls": 1, "tokens": 2, "cost": 3, "success_rate": 50}],
        },
        {"month": 100},
        {"accepted": 1, "duplicates": 0, "event_ids": ["e"]},
    )
    usage = server.client().usage
    assert usage.current().current_hour.cost == 0.5
    assert usage.daily(1).by_model["m"].cost == 1.5
    assert usage.top_users()[0].user_id == "u"
    assert usage.cost_trend(2)[0].date == "2026-11-20"
    assert usage.session("a/b").calls == 0
    assert usage.breakdown("model").data[0].success_rate == 50
    assert usage.forecast() == {"month": 100}
    assert usage.record([{"event_id": "e"}]).accepted == 1
    assert server.requests[4].url.raw_path == b"/api/ai_usage/stats/session/a%2Fb"


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (
            httpx2.Response(404, json={"error": {"message": "no such job", "code": "not_found"}}),
            ServerError,
            "no such job",
        ),
        (httpx2.Response(422, json={"detail": [{"msg": "days"}]}), RefusedError, "days"),
        (httpx2.Response(500, content=b"<html>oops"), ServerError, "oops"),
        (httpx2.ConnectError("refused"), ServerUnreachableError, "refused"),
        ({"not": "a job"}, ServerUnreachableError, "not Tollway's"),
    ],
)
def test_what_went_wrong_is_said(answer, error, words):
    with pytest.raises(error, match=words):
        Server(answer).client().reports.get("j")


def test_the_environments_key_goes_to_the_environments_address_only(monkeypatch):
    monkeypatch.setenv("TOLLWAY_URL", "http://gate")
    monkeypatch.setenv("TOLLWAY_ADMIN_TOKEN", "secret")
    assert TollwayClient()._http.headers["authorization"] == "Bearer secret"
    assert "authorization" not in TollwayClient("http://elsewhere")._http.headers


async def test_the_asynchronous_client_does_the_same(tmp_path):
    artifact = {"format": "html", "url": "/v1/reports/j/artifact.html"}
    body = 'id: 1\ndata: {"id": "j", "status": "succeeded"}\n\n'
    server = Server(
        httpx2.Response(202, json=job()),
        job("succeeded", artifacts=[artifact]),
        httpx2.Response(200, content=b"<p>"),
        httpx2.Response(200, content=body, headers={"content-type": "text/event-stream"}),
        {"events": [{"event_id": "e"}], "next_cursor": None},
        {"period": "daily", "total_calls": 3},
        [job()],
    )
    async with AsyncTollwayClient("http://gate", "key", transport=httpx2.MockTransport(server)) as client:
        made = await client.reports.create_usage_report(3)
        done = await client.reports.wait(made.id)
        assert (await client.reports.save(done, tmp_path / "r.html")).read_bytes() == b"<p>"
        assert [step.job.status async for step in client.reports.events("j")] == ["succeeded"]
        assert [event.event_id async for event in client.usage.events()] == ["e"]
        assert (await client.usage.daily()).total_calls == 3
        assert len(await client.reports.all()) == 1


def test_both_clients_offer_the_same():
    from tollway.client import asynchronous, blocking

    for name in ("UsageQueries", "ReportJobs"):
        offered = {method for method in vars(getattr(blocking, name)) if not method.startswith("_")}
        assert offered == {
            method for method in vars(getattr(asynchronous, f"Async{name}")) if not method.startswith("_")
        }
