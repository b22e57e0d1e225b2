"""A database that dies and comes back is unavailable in between, and nothing else."""

import asyncio
import contextlib
import pathlib
import tempfile

import pytest
import structlog
from sqlalchemy import text

from chaos.servers import Server
from shared.database import MORE_CONNECTIONS, WRITERS_OWN, Database
from shared.errors import DatabaseUnavailable
from tests import servers
from tests.conftest import missing


@pytest.fixture
def postgres():
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        try:
            server = Server("postgres", pathlib.Path(folder))
        except servers.Unavailable as reason:
            missing("postgres", str(reason))
        server.start()
        yield server
        server.kill()


async def test_a_killed_postgres_is_unavailable_until_it_is_back(postgres, eventually):
    database = Database(postgres.url)
    await database.open()
    async with database.begin() as connection:
        await connection.execute(text("CREATE TABLE t (n int)"))
    postgres.kill()
    with pytest.raises(DatabaseUnavailable):
        async with database.begin() as connection:
            await connection.execute(text("INSERT INTO t VALUES (1)"))

    starting = asyncio.get_running_loop().run_in_executor(None, postgres.start)

    async def written():
        try:
            async with database.begin() as connection:
                await connection.execute(text("INSERT INTO t VALUES (1)"))
        except DatabaseUnavailable:
            return False
        return True

    await eventually(written, 30)
    await starting
    async with database.read() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM t"))).scalar_one() == 1
    await database.close()


async def test_many_readers_never_keep_a_writer_waiting(postgres_url, monkeypatch):
    monkeypatch.setattr("shared.database.WAIT_SECONDS", 0.3)
    database = Database(postgres_url, pool_size=1)
    await database.open()
    async with contextlib.AsyncExitStack() as reading:
        for _ in range(1 + MORE_CONNECTIONS - WRITERS_OWN):
            connection = await reading.enter_async_context(database.read())
            await connection.execute(text("SELECT 1"))
        with pytest.raises(DatabaseUnavailable):
            async with database.read():
                pass
        async with database.begin() as connection:
            await connection.execute(text("SELECT 1"))
    async with database.read() as connection:
        await connection.execute(text("SELECT 1"))
    await database.close()


async def test_a_server_with_few_connections_is_told_of_at_the_start(postgres_url):
    for pool_size, told in ((8, False), (10_000, True)):
        database = Database(postgres_url, pool_size=pool_size)
        with structlog.testing.capture_logs() as logs:
            await database.open()
        assert any(line["event"] == "few_database_connections" for line in logs) is told
        await database.close()
