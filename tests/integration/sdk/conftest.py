"""Examples and programs run against a small Tollway in the documented shapes, each in a folder of its own."""

import importlib
import sys
from pathlib import Path

import pytest

from tests.integration.sdk.fake_tollway import FakeTollway

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
    importlib.import_module("tollway.usage.book").close_monitors()


@pytest.fixture
def tollway_server():
    with FakeTollway() as server:
        yield server


@pytest.fixture
def as_client(tollway_server, monkeypatch):
    """The environment of a program that books at the server."""
    monkeypatch.setenv("TOLLWAY_URL", tollway_server.url)
    monkeypatch.setenv("TOLLWAY_ADMIN_TOKEN", tollway_server.token)
    yield tollway_server
    # while there is still a server to take what is left
    importlib.import_module("tollway.usage.book").close_monitors()
