"""A database that tasks are cancelled on: none of them leaves it locked."""

import asyncio
import random
from pathlib import Path

from sqlalchemy import text

from shared.database import Database

ROUNDS, AT_ONCE = 60, 6


async def test_tasks_cancelled_at_any_moment_leave_no_lock_behind(tmp_path: Path) -> None:
    dice = random.Random(1)
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'a.db'}")
    await database.open()
    async with database.begin() as connection:
        await connection.execute(text("CREATE TABLE t (n integer)"))

    async def write() -> None:
        async with database.begin() as connection:
            await connection.execute(text("INSERT INTO t VALUES (1)"))
            (await connection.execute(text("SELECT count(*) FROM t"))).scalar_one()
            await asyncio.sleep(dice.choice((0, 0, 0.002)))
            await connection.execute(text("INSERT INTO t VALUES (1)"))

    async def read() -> None:
        async with database.read() as connection:
            (await connection.execute(text("SELECT count(*) FROM t"))).scalar_one()

    async def left_alone() -> None:
        task = asyncio.ensure_future(dice.choice((write, write, read))())
        await asyncio.sleep(dice.random() * 0.01)
        for _ in range(dice.choice((1, 1, 2))):  # twice: cancelled again while it cleans up
            task.cancel()
            await asyncio.sleep(0)
        await asyncio.wait({task})
        assert task.cancelled() or task.exception() is None

    for _ in range(ROUNDS):
        await asyncio.gather(*(left_alone() for _ in range(AT_ONCE)))
        async with asyncio.timeout(5):
            await write()
    async with database.read() as connection:
        rows = (await connection.execute(text("SELECT count(*) FROM t"))).scalar_one()
    assert rows >= 2 * ROUNDS
    assert rows % 2 == 0
    await database.close()
