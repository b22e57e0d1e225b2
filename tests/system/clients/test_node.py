"""JavaScript clients: the scripts of tests/node, each run by Node's own test runner."""

import os
import pathlib
import shutil
import subprocess

import pytest

from tests.conftest import missing
from tests.system.stack import ADMIN, ROOT, Stack

FOLDER = ROOT / "tests" / "node"
SCRIPTS = sorted(path.name for path in FOLDER.glob("*.test.mjs"))


@pytest.fixture(scope="module")
def modules() -> pathlib.Path:
    """The clients, installed from the lock file."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        missing("node", "no node and npm on the path")
    if not (FOLDER / "node_modules" / "openai").exists():
        done = subprocess.run(
            [str(npm), "ci", "--no-audit", "--no-fund"], cwd=FOLDER, capture_output=True, text=True, timeout=300
        )
        if done.returncode:
            missing("node", f"npm ci failed: {done.stderr[-300:]}")
    return FOLDER


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_javascript_client_works_unmodified(stack: Stack, modules: pathlib.Path, script: str) -> None:
    environ = {
        **os.environ,
        "TOLLWAY_URL": stack.url,
        "TOLLWAY_ADMIN_TOKEN": ADMIN,
        "PROVIDER_URL": stack.provider_url,
        "AI_SDK_LOG_WARNINGS": "false",
    }
    done = subprocess.run(
        ["node", "--test", "--test-reporter=tap", script],
        cwd=modules, env=environ, capture_output=True, text=True, timeout=110,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
