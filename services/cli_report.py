"""`tollway report`: a job of the server at TOLLWAY_URL where one answers, else the same report made here."""

import argparse
import importlib
import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx2

from shared.settings import Settings, read_settings

CONNECT_SECONDS, ANSWER_SECONDS = 2.0, 60.0
RECONNECTS = 5
FAILED, USAGE, MISMATCH, NO_DATA, PARTIAL = 1, 2, 3, 4, 5
CODES = {"token_mismatch": MISMATCH, "token_unknown": NO_DATA}
# What says that there is no report to be had from this server, by us or at all; the report is made here then.
NO_SERVER = (401, 403, 404, 405, 500, 502, 503, 504)


def report(options: argparse.Namespace) -> int:
    """Exit codes: 0 ok, 2 usage, 3 token and address do not belong together, 4 no data, 5 partial with --strict.

    From evidence 3 says that a file of it, or the report made of it, is not what its manifest says.
    """
    # Imported here alone: building a report loads libraries that no other verb should wait for.
    command = importlib.import_module("services.reports.command")
    if (options.verify or options.fact) and not (options.from_evidence and options.verify):
        _say("tollway report: it is --from-evidence ZIP --verify FILE [--fact ID]")
        return USAGE
    if options.from_evidence:
        again: int = command.run_again(options)
        return again
    body = command.request_of(options)
    if body is None:
        return USAGE
    only_here = options.here or options.config or options.evidence or options.provider_base
    code = None if only_here else _by_server(body, options, command.NOTHING_KNOWN)
    here: int = command.run_cli(body, options) if code is None else code
    return here


def _by_server(body: dict[str, Any], options: argparse.Namespace, nothing_known: str) -> int | None:
    """The exit code of a report that the server made; None when there is no server to make it."""
    try:
        settings = read_settings()
    except ValueError:
        return None
    with _client(settings) as client:
        try:
            answer = client.post("/v1/reports", json=body)
        except (httpx2.HTTPError, ValueError):
            return None
        if answer.status_code in NO_SERVER:
            _say(f"{settings.url} answered {answer.status_code}; the report is made here")
            return None
        if answer.status_code != 202:
            _say(f"tollway report: {settings.url} answered {answer.status_code}: {_message(answer)}")
            return USAGE if answer.status_code in (400, 422) else FAILED
        try:
            job = _followed(client, answer.json())
            return _delivered(client, job, options, nothing_known)
        except KeyboardInterrupt:
            with suppress(httpx2.HTTPError):
                client.post(f"/v1/reports/{answer.json()['id']}/cancel")
            raise
        except (httpx2.HTTPError, OSError) as error:
            _say(f"tollway report: {error}")
            return FAILED


def _client(settings: Settings) -> httpx2.Client:
    token = settings.admin_token or settings.token
    headers = {"authorization": f"Bearer {token.get_secret_value()}"} if token else {}
    timeout = httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
    return httpx2.Client(base_url=settings.url, headers=headers, timeout=timeout)


def _followed(client: httpx2.Client, job: dict[str, Any]) -> dict[str, Any]:
    """The job at its end; its stages are told as they are done."""
    seen, told = 0, set[str]()
    for _ in range(RECONNECTS):
        with suppress(httpx2.TransportError):
            for number, body in _events(client, job["id"], seen):
                seen, job = number, body
                for stage in body["stages"]:
                    if stage["status"] == "done" and stage["name"] not in told:
                        told.add(stage["name"])
                        _say(f"[{body['progress']:4.0%}] {stage['name']}")
        if job["status"] not in ("queued", "running"):
            return job
    raise OSError(f"the report {job['id']} is {job['status']}, and the server has stopped telling of it")


def _events(client: httpx2.Client, job_id: str, seen: int) -> Iterator[tuple[int, dict[str, Any]]]:
    number = seen
    with client.stream("GET", f"/v1/reports/{job_id}/events", headers={"last-event-id": str(seen)}) as answer:
        answer.raise_for_status()
        for line in answer.iter_lines():
            if line.startswith("id:"):
                number = int(line[3:])
            elif line.startswith("data:"):
                yield number, json.loads(line[5:])


def _delivered(client: httpx2.Client, job: dict[str, Any], options: argparse.Namespace, nothing_known: str) -> int:
    for warning in job["warnings"]:
        _say(f"warning: {warning}")
    if job["status"] not in ("succeeded", "partial"):
        error = job["error"] or {"code": job["status"], "message": f"the report was {job['status']}"}
        _say(f"tollway report: {error['message']}")
        return CODES.get(error["code"], FAILED)
    if nothing_known in job["warnings"]:
        return NO_DATA
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    for artifact in job["artifacts"]:
        body = client.get(artifact["url"]).raise_for_status().content
        if sha256(body).hexdigest() != artifact["sha256"]:
            raise OSError(f"{artifact['url']} did not arrive as it was made")
        target = out / f"{job['request']['token']}_report.{artifact['format']}"
        target.write_bytes(body)
        print(target)
    return PARTIAL if job["status"] == "partial" and options.strict else 0


def _message(answer: httpx2.Response) -> str:
    with suppress(ValueError, LookupError, TypeError):
        return str(answer.json()["error"]["message"])
    return answer.text[:300]


def _say(text: str) -> None:
    print(text, file=sys.stderr)
