"""A reports service in this process or another one, for tests: composed from real resources, reached without a socket."""

import asyncio
import json
from contextlib import asynccontextmanager
from pathlib import Path

import yaml

from services.reports.app import compose
from services.reports.reach import LocalCaller
from shared.config import LiveConfig
from shared.config.load import parse_config
from shared.service import open_resources
from shared.settings import settings_from
from shared.tasks import cancel

USDC = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"
SAMPLE = {"type": "token", "token": "usd-coin", "address": USDC, "sample": True, "insight": False}


class Client:
    """Talks to a composed reports service."""

    def __init__(self, part, resources):
        self.part, self.resources = part, resources
        self._call = LocalCaller(lambda: part.http)

    async def __call__(self, method, path, body=None, headers=None, raw=None):
        sent = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        status, answer = await self._call(method, path, headers=headers or {}, body=sent)
        return status, json.loads(answer) if answer[:1] in (b"{", b"[") else answer

    async def artifact(self, job, form):
        """An artefact as it lies there, undecoded."""
        url = next(artifact["url"] for artifact in job["artifacts"] if artifact["format"] == form)
        _, body = await self._call("GET", url, headers={"x-tollway-admin": "1"})
        return body

    async def post(self, body=SAMPLE, **headers):
        status, job = await self("POST", "/v1/reports", body, {k.replace("_", "-"): v for k, v in headers.items()})
        assert status == 202, job
        return job

    async def ended(self, job_id, seconds=60):
        async with asyncio.timeout(seconds):
            while True:
                _, job = await self("GET", f"/v1/reports/{job_id}?wait=20", headers={"x-tollway-admin": "1"})
                if job["status"] not in ("queued", "running"):
                    return job


def settings(data: Path, **environment):
    return settings_from({name.upper(): value for name, value in environment.items()}, data, data=data / "data")


def config(section=None, settings=None, **rest):
    return LiveConfig(parse_config(yaml.safe_dump({"reports": section or {}, **rest}), {}))


@asynccontextmanager
async def service(data: Path, *, reports=None, usage=None, gateway=None, workers=True, environment=None, **rest):
    made = settings(data, **(environment or {}))
    async with open_resources(made, config(reports, **rest), database=True) as (resources, _):
        part = await compose(resources, usage=usage, gateway=gateway)
        await resources.database.open()
        loop = asyncio.get_running_loop()
        names = part.workers if workers is True else {n: w for n, w in part.workers.items() if n in (workers or ())}
        running = [loop.create_task(worker(), name=name) for name, worker in names.items()]
        try:
            yield Client(part, resources)
        finally:
            for task in running:
                await cancel(task)
            await resources.tasks.drain(1)
            for close in part.closers:
                await close()
            for task in running:
                if not task.cancelled() and task.exception():
                    raise task.exception()
