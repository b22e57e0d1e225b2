"""A worker process that kills itself (SIGKILL) at a given place of the first attempt. Arguments: one JSON object.

`kill` is "before:STAGE" or "after:STAGE"; "after:store" is after the files lie in place and before the row says so.
"""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT))

from services.reports import app, build, recipes  # noqa: E402
from services.reports.artifacts import ArtifactFolder  # noqa: E402
from tests.integration.reports.desk import service  # noqa: E402


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def arm(kill):
    when, _, stage = kill.partition(":")
    if stage == "store":
        settle = ArtifactFolder.settle

        def armed(self, *arguments):
            if when == "before":
                die()
            found = settle(self, *arguments)
            die()
            return found

        ArtifactFolder.settle = armed
        return
    for recipe in (recipes.TokenRecipe, recipes.UsageRecipe):
        start = recipe.__init__

        def init(self, *arguments, start=start):
            start(self, *arguments)
            inner = self.stages.get(stage)

            async def armed(job, made, folder):
                if when == "before":
                    die()
                found = await inner(job, made, folder)
                die()
                return found

            if inner is not None and when != "kept":
                self.stages[stage] = armed

        recipe.__init__ = init
    if when == "kept":
        keep = build.WorkStore.keep

        async def kept(self, job, name, key, body):
            await keep(self, job, name, key, body)
            if name == stage:
                die()

        build.WorkStore.keep = kept


async def main(options):
    if options.get("kill"):
        arm(options["kill"])
    sources = options.get("sources", {})
    section = {"data_sources": sources, "insight_model": "test-model", "workers": options.get("workers", 1)}
    async with service(Path(options["data"]), reports=section, environment=options["environment"]):
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    assert app.compose
    asyncio.run(main(json.loads(sys.argv[1])))
