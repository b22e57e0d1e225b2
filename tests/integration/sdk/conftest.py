"""Examples and programs run against a real Tollway, each in a folder of its own."""

import importlib
import sys
from pathlib import Path

import pytest

from tests.integration.sdk.fake_ledger import FakeLedger

SOURCE = Path(__file__).parents[3] / "sdk" / "src"
if str(SOURCE) not in sys.path:
    sys.path.insert(0, str(SOURCE))


@pytest.fixture(autouse=True)
def records(tmp_path, monkeypatch):
    """A working folder of the test's own, as a program with the seed's relative paths would have it."""
    for name in ("TOLLWAY_URL", "TOLLWAY_ADMIN_TOKEN", "TOLLWAY_API_KEY", "TOLLWAY_USAGE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "records" / "ai_usage"
    close_monitors()


@pytest.fixture(scope="session")
def live(tmp_path_factory):
    """A running Tollway, one for all tests: their figures add up in it."""
    with importlib.import_module("tests.integration.sdk.live").LiveTollway(tmp_path_factory.mktemp("live")) as running:
        yield running


@pytest.fixture
def as_client(live, monkeypatch):
    """The environment of a program that works with the running Tollway."""
    return entered(live, monkeypatch)


@pytest.fixture
def ledger(monkeypatch):
    """The environment of a program whose server can be told to fail."""
    with FakeLedger() as server:
        yield entered(server, monkeypatch)
        # while there is still a server to take what is left
        close_monitors()


def entered(server, monkeypatch):
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return server


def close_monitors():
    importlib.import_module("tollway.usage.book").close_monitors()
