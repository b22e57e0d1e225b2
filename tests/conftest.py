"""Servers for the tests, and the last lines that name what was not there."""

import asyncio
import os
import pathlib
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit, urlunsplit

import pytest
from hypothesis import HealthCheck, settings

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from shared.ids import uuid7  # noqa: E402
from tests import servers  # noqa: E402

# Before any test module is read: a property takes the settings that are in force where it is defined. On a shared machine
# time says nothing of an example.
settings.register_profile("shared-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared-machine")

PROGRAMS = {"node": ("node",), "chromium": ("chromium", "chromium-browser", "google-chrome"), "docker": ("docker",)}
UNUSED: dict[str, str] = {}


# The quick ones first. The browser's driver keeps an event loop running in this thread, so its tests come after all others.
ORDER = ("architecture", "unit", "contract", "integration", "system", "system/dashboard")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(ROOT / "tests").as_posix()
        return max(number for number, name in enumerate(ORDER) if path.startswith(f"{name}/"))

    items.sort(key=place)


def required() -> set[str]:
    return {name.strip() for name in os.environ.get("TOLLWAY_TEST_REQUIRE", "").split(",") if name.strip()}


def missing(name: str, reason: str) -> None:
    """Skip, or fail when the run was told that it must be there."""
    UNUSED[name] = reason
    if name in required():
        pytest.fail(f"{name} is required and not there: {reason}")
    pytest.skip(f"{name}: {reason}")


def server(kind: str) -> str:
    try:
        return servers.url(kind)
    except servers.Unavailable as reason:
        missing(kind, str(reason))
        raise


@pytest.fixture
async def postgres_url() -> AsyncIterator[str]:
    """A fresh, empty database."""
    import asyncpg

    base = server("postgres")
    name = f"test_{uuid7().hex}"
    address = base.replace("postgresql+asyncpg://", "postgresql://")
    admin = await asyncpg.connect(address)
    await admin.execute(f"CREATE DATABASE {name}")
    yield urlunsplit(urlsplit(base)._replace(path=f"/{name}"))
    await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    await admin.close()


@pytest.fixture
def redis_url() -> Iterator[str]:
    """An emptied Redis."""
    import redis

    url = server("redis")
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        yield url


@pytest.fixture
def amqp_url() -> str:
    """A broker on which this test's queues have names of their own."""
    return f"{server('rabbitmq')}?prefix=test-{uuid7().hex[-12:]}."


def program(name: str) -> str:
    for candidate in PROGRAMS[name]:
        if found := shutil.which(candidate):
            return found
    missing(name, "not installed")
    raise AssertionError


@pytest.fixture(scope="session")
def chromium() -> str:
    return program("chromium")


@pytest.fixture(scope="session")
def node() -> str:
    return program("node")


@pytest.fixture(scope="session")
def docker() -> str:
    if not servers.docker_answers():
        missing("docker", "no engine answers")
    return program("docker")


async def eventually(condition, seconds: float = 5.0):
    """Wait until the condition (plain or async) is true and give its value; an AssertionError after the deadline."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        assert asyncio.get_running_loop().time() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.01)


@pytest.fixture(name="eventually")
def eventually_fixture():
    return eventually


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of a parallel run tells the one that prints what it used and missed."""
    if (told := getattr(session.config, "workeroutput", None)) is not None:
        told |= {"used": servers.USED, "unused": UNUSED}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node) -> None:
    told = getattr(node, "workeroutput", {})  # one that crashed told nothing
    servers.USED.update(told.get("used", {}))
    UNUSED.update(told.get("unused", {}))


def pytest_terminal_summary(terminalreporter) -> None:
    write = terminalreporter.write_line
    for kind, how in sorted(servers.USED.items()):
        write(f"used: {kind} from {how}")
    for name, reason in sorted(UNUSED.items()):
        write(f"not available: {name} ({reason})")
