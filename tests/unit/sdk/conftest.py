"""The library is tested from its source folder; every test has its own records and no environment of ours."""

import importlib
import sys
from pathlib import Path

import pytest

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
