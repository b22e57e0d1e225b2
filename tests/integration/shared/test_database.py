"""A database that dies and comes back is unavailable in between, and nothing else."""

import asyncio
import pathlib
import tempfile

import pytest
from sqlalchemy import text

from chaos.servers import Server
from shared.database import Database
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
