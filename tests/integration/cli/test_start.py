"""The command begins at once: what a verb does not need is not loaded."""

import subprocess
import sys

import pytest

from tests.system.stack import ROOT

HEAVY = ("aiohttp", "fastapi", "sqlalchemy", "structlog", "uvicorn")


def loaded(code: str) -> list[str]:
    told = f"import sys; {code}; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", told], capture_output=True, text=True, timeout=60, check=True, cwd=ROOT
    )
    return done.stdout.split()


@pytest.mark.parametrize("module", ["services.cli", "services.cli_client", "services.cli_report"])
def test_help_and_a_question_to_the_server_load_no_service(module):
    assert loaded(f"import {module}") == []


def test_the_look_can_see_something():
    assert "uvicorn" in loaded("import services.cli_run")
