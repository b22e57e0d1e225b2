"""How a process stops."""

import asyncio

from shared.lifecycle import Lifecycle
from shared.tasks import Tasks


async def test_a_stop_waits_for_what_runs():
    lifecycle = Lifecycle()
    release = asyncio.Event()

    async def answer():
        with lifecycle.track():
            await release.wait()

    running = asyncio.gather(answer())
    await asyncio.sleep(0)
    finishing = asyncio.gather(lifecycle.finish(5))
    await asyncio.wait_for(lifecycle.draining.wait(), 1)
    assert not finishing.done()
    release.set()
    await finishing
    await running
    assert not lifecycle.expired.is_set()


async def test_what_runs_past_the_deadline_is_told():
    lifecycle = Lifecycle()

    async def answer():
        with lifecycle.track():
            await lifecycle.expired.wait()
            return "told"

    running = asyncio.gather(answer())
    await asyncio.sleep(0)
    await lifecycle.finish(0.01)
    assert await running == ["told"]


async def test_tasks_are_awaited_and_stragglers_cancelled():
    tasks, done = Tasks(), []

    async def quick():
        done.append(1)

    async def slow():
        await asyncio.Event().wait()

    tasks.start(quick(), name="quick")
    straggler = tasks.start(slow(), name="slow")
    await tasks.drain(0.05)
    assert done == [1]
    assert straggler.cancelled()
    assert len(tasks) == 0
