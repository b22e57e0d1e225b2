"""LangChain and pydantic-ai: run from an environment of their own, made here when TOLLWAY_TEST_CLIENTS=1 asks for it."""

import os
import pathlib
import shutil
import subprocess

import pytest

from tests.conftest import missing
from tests.system.stack import ADMIN, ROOT, Stack

FOLDER = ROOT / "tests" / "system" / "clients" / "frameworks"
PYTHON = FOLDER / ".venv" / "bin" / "python"


@pytest.fixture(scope="module")
def python() -> pathlib.Path:
    uv = shutil.which("uv")
    if not PYTHON.exists() and os.environ.get("TOLLWAY_TEST_CLIENTS") == "1" and uv:
        subprocess.run([uv, "venv", "-q", str(FOLDER / ".venv")], check=True, timeout=60)
        wanted = str(FOLDER / "requirements.txt")
        subprocess.run([uv, "pip", "install", "-q", "--python", str(PYTHON), "-r", wanted], check=True, timeout=300)
    if not PYTHON.exists():
        missing("client-frameworks", "not installed; TOLLWAY_TEST_CLIENTS=1 installs them")
    return PYTHON


@pytest.mark.parametrize("case", ["langchain-openai", "langchain-anthropic", "pydantic-ai"])
def test_a_framework_works_unmodified(stack: Stack, python: pathlib.Path, case: str) -> None:
    environ = {**os.environ, "TOLLWAY_URL": stack.url, "TOLLWAY_KEY": ADMIN, "PYDANTIC_AI_HTTP_LOGGING": "0"}
    done = subprocess.run(
        [str(python), str(FOLDER / "script.py"), case], env=environ, capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
