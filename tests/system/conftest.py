"""System tests run against both compositions: one process with nothing around it, and five on real servers."""

import pathlib
import tempfile
from collections.abc import Iterator

import pytest

from shared.ids import uuid7
from tests.conftest import server
from tests.system.stack import Stack, running


@pytest.fixture(scope="module", params=["embedded", "split"])
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    servers = real_servers() if request.param == "split" else None
    with (
        tempfile.TemporaryDirectory(prefix="tollway-system-", ignore_cleanup_errors=True) as folder,
        running(Stack(pathlib.Path(folder), servers)) as stack,
    ):
        yield stack


def real_servers() -> dict[str, str]:
    """What a split stack stands on: a new database, the cache, and queues with names of their own."""
    return {
        "postgres": fresh_database(server("postgres")),
        "redis": server("redis"),
        "rabbitmq": f"{server('rabbitmq')}?prefix=test-{uuid7().hex[-12:]}.",
    }


def fresh_database(base: str) -> str:
    """A new, empty database on the server; it goes with the server."""
    import asyncio

    import asyncpg

    name = f"system_{uuid7().hex}"

    async def create() -> None:
        connection = await asyncpg.connect(base.replace("postgresql+asyncpg://", "postgresql://"))
        await connection.execute(f"CREATE DATABASE {name}")
        await connection.close()

    asyncio.run(create())
    return base.rsplit("/", 1)[0] + f"/{name}"
