"""Every owner's migrations go up, down and up again, on both databases, and end where its tables say."""

import importlib
import pathlib

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from shared.database import Database, Owned, alembic_config

ROOT = pathlib.Path(__file__).parents[3]
OWNERS = ("gateway", "usage", "reports")


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path):
    return (
        f"sqlite+aiosqlite:///{tmp_path / 'test.db'}"
        if request.param == "sqlite"
        else request.getfixturevalue("postgres_url")
    )


@pytest.fixture
async def database(url):
    database = Database(url)
    yield database
    await database.close()


async def run(database, owned, step, revision):
    async with database.engine.connect() as connection:
        await connection.run_sync(lambda sync: step(alembic_config(owned, "", sync), revision))
        await connection.commit()


async def tables(database):
    async with database.engine.connect() as connection:
        return set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))


@pytest.mark.parametrize("owner", OWNERS)
async def test_migrations_go_up_and_down_and_up_again(database, owner):
    owned = Owned(owner, ROOT / "services" / owner / "migrations")
    await run(database, owned, command.upgrade, "head")
    made = await tables(database)
    assert len(made) > 1
    await run(database, owned, command.downgrade, "base")
    assert await tables(database) <= {f"alembic_version_{owner}"}
    await run(database, owned, command.upgrade, "head")
    assert await tables(database) == made


@pytest.mark.parametrize("owner", OWNERS)
async def test_the_tables_are_what_the_code_says(database, owner):
    owned = Owned(owner, ROOT / "services" / owner / "migrations")
    await run(database, owned, command.upgrade, "head")
    metadata = importlib.import_module(f"services.{owner}.tables").metadata
    known = set(metadata.tables)

    def differences(sync):
        options = {
            "include_name": lambda name, kind, _: kind != "table" or name in known,
            "version_table": f"alembic_version_{owner}",
        }
        return compare_metadata(MigrationContext.configure(sync, opts=options), metadata)

    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []
