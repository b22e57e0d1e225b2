"""The database as the services see it: one engine, write and read transactions, migrations per owning service."""

import asyncio
import fcntl
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import structlog
from alembic import command
from alembic.config import Config as AlembicConfig
from sqlalchemy import Connection, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, PendingRollbackError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from shared.errors import DatabaseUnavailable
from shared.tasks import Tasks

log = structlog.get_logger(__name__)

MIGRATION_LOCK = 0x746F_6C6C  # one number for all of Tollway: services migrate one after another
RETRY_SECONDS = 1.0
WAIT_SECONDS = 5.0  # for a connection
MORE_CONNECTIONS = 4  # beyond the pool, while there is much to do
WRITERS_OWN = 3  # connections that readers never take: many long exports must not stop the booking
# Our queries are many and small: compiling them or starting workers for them costs more than running them. A screen
# adds up some ten thousand rows of sums, which the server's own 4 MB would sort on disk.
_SHORT_QUERIES = {"jit": "off", "max_parallel_workers_per_gather": "0", "work_mem": "32MB"}
# Classes of SQLSTATE: lost connections, deadlocks, too few resources, a server that starts or stops.
AWAY_STATES = ("08", "40", "53", "57")


@dataclass(frozen=True)
class Owned:
    """The migrations of one service."""

    service: str
    folder: Path


class Database:
    """One engine per process. `ready` is set once it answered and every owner's migrations are at head."""

    def __init__(self, url: str, *, pool_size: int = 8) -> None:
        self._url = make_url(url)
        self.dialect: Literal["postgresql", "sqlite"] = (
            "sqlite" if self._url.get_backend_name() == "sqlite" else "postgresql"
        )
        self.ready = asyncio.Event()
        self.engine = self._make_engine(pool_size)
        self._owned: list[Owned] = []
        # SQLite has one writer; waiting here is cheaper and fairer than its busy handler.
        self._writer = asyncio.Lock()
        self._tasks = Tasks()
        self._most_connections = pool_size + MORE_CONNECTIONS
        self._readers = asyncio.Semaphore(self._most_connections - WRITERS_OWN)

    def require(self, service: str, migrations: Path) -> None:
        """Have a service's migrations applied before `ready`."""
        self._owned.append(Owned(service, migrations))

    async def open(self) -> None:
        """Connect and migrate, trying until it works."""
        while not self.ready.is_set():
            try:
                await asyncio.to_thread(
                    self._migrate_sqlite
                ) if self.dialect == "sqlite" else await self._migrate_postgres()
            except (OSError, SQLAlchemyError) as error:
                log.warning("database_unavailable", error=type(error).__name__, retry_seconds=RETRY_SECONDS)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self.ready.set()

    async def close(self) -> None:
        """Close the pool."""
        await self._tasks.drain(1)
        await self.engine.dispose()

    async def ping(self) -> None:
        """Whether it is migrated and answers; raises DatabaseUnavailable."""
        async with self.read() as connection:
            await connection.execute(text("SELECT 1"))

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """One write transaction, committed at the end or rolled back."""
        if self.dialect == "sqlite":
            async with self._writer, self._transaction(write=True) as connection:
                yield connection
        else:
            async with self._transaction(write=True) as connection:
                yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """One transaction that only reads; raises DatabaseUnavailable when too many do."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._readers.acquire()
        except TimeoutError as error:
            raise DatabaseUnavailable from error
        try:
            async with self._transaction(write=False) as connection:
                yield connection
        finally:
            self._readers.release()

    @asynccontextmanager
    async def _transaction(self, *, write: bool) -> AsyncIterator[AsyncConnection]:
        if not self.ready.is_set():
            raise DatabaseUnavailable  # it may answer, but the tables are not there yet
        try:
            async with self.engine.connect() as connection:
                if write and self.dialect == "sqlite":
                    await connection.execute(text("BEGIN IMMEDIATE"))
                async with _committed(connection):
                    yield connection
        except (OSError, PoolTimeout, PendingRollbackError) as error:
            raise DatabaseUnavailable from error
        except DBAPIError as error:
            if _is_away(error):
                raise DatabaseUnavailable from error
            raise

    def _make_engine(self, pool_size: int) -> AsyncEngine:
        if self.dialect == "sqlite":
            if self._url.database:
                Path(self._url.database).parent.mkdir(parents=True, exist_ok=True)
            engine = create_async_engine(
                self._url, pool_size=pool_size, max_overflow=MORE_CONNECTIONS, connect_args={"timeout": 10}
            )
            event.listen(engine.sync_engine, "connect", _prepare_sqlite)
            event.listen(engine.sync_engine, "invalidate", self._roll_back)
            return engine
        return create_async_engine(
            self._url,
            pool_size=pool_size,
            max_overflow=MORE_CONNECTIONS,
            pool_timeout=WAIT_SECONDS,
            pool_pre_ping=True,
            connect_args={
                "timeout": 5,
                "command_timeout": 60,
                "server_settings": {"timezone": "UTC", "application_name": "tollway", **_SHORT_QUERIES},
            },
        )

    def _roll_back(self, connection: Any, *_: Any) -> None:
        """A connection that a cancelled task leaves gets closed, but keeps SQLite's locks as long as a cursor lives.

        In the driver's queue this comes before the closing, and after what its thread may still be doing.
        """
        self._tasks.start(_rolled_back(connection.driver_connection), name="database.roll_back")

    def _migrate_sqlite(self) -> None:
        path = Path(self._url.database or ":memory:")
        with path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for owned in self._owned:
                _upgrade(owned, self._url.set(drivername="sqlite").render_as_string(hide_password=False), None)

    async def _migrate_postgres(self) -> None:
        async with self.engine.connect() as connection:
            most = int((await connection.execute(text("SHOW max_connections"))).scalar_one())
            if most < 2 * self._most_connections:
                log.warning("few_database_connections", server_has=most, this_process_takes=self._most_connections)
            await connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
            try:
                for owned in self._owned:
                    await connection.run_sync(partial(_upgrade_on, owned))
                    await connection.commit()
            finally:
                await connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": MIGRATION_LOCK})
                await connection.commit()


def _is_away(error: DBAPIError) -> bool:
    """Whether the failure says that trying again later may help, and nothing about the statement."""
    if error.connection_invalidated or isinstance(error, OperationalError | InterfaceError):
        return True
    cause = error.orig.__cause__ if error.orig is not None else None
    state = getattr(error.orig, "sqlstate", None) or getattr(cause, "sqlstate", None) or ""
    return str(state)[:2] in AWAY_STATES


@asynccontextmanager
async def _committed(connection: AsyncConnection) -> AsyncIterator[None]:
    try:
        yield
    except BaseException:
        await asyncio.shield(connection.rollback())
        raise
    await connection.commit()


def _prepare_sqlite(connection: Any, _: Any) -> None:
    # SQLAlchemy begins transactions by itself; the driver must not begin others behind its back.
    connection.isolation_level = None
    cursor = connection.cursor()
    for statement in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "busy_timeout=10000",
        "temp_store=MEMORY",
    ):
        cursor.execute(f"PRAGMA {statement}")
    cursor.close()


async def _rolled_back(driver: Any) -> None:
    with suppress(ValueError, sqlite3.Error):  # closed before, or nothing was begun
        await driver.rollback()


def alembic_config(owned: Owned, url: str, connection: Connection | None) -> AlembicConfig:
    """What a service's `migrations/env.py` reads: where to connect and which version table is its own."""
    config = AlembicConfig()
    config.set_main_option("script_location", str(owned.folder))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    config.attributes["connection"] = connection
    config.attributes["version_table"] = f"alembic_version_{owned.service}"
    return config


def _upgrade_on(owned: Owned, connection: Connection) -> None:
    _upgrade(owned, "", connection)


def _upgrade(owned: Owned, url: str, connection: Connection | None) -> None:
    command.upgrade(alembic_config(owned, url, connection), "head")
