"""Claude Code itself completes a session with tool use through the gateway, with no other network.

It is a large download: installed when TOLLWAY_TEST_CLIENTS=1, used whenever it is there.
"""

import json
import os
import pathlib
import subprocess
import sys
import urllib.request

import pytest

from tests.conftest import missing
from tests.ports import free_port
from tests.system.stack import ADMIN, ROOT, Stack, running, wait_for

FOLDER = ROOT / "tests" / "node" / "claude-code"
MODEL = "claude-sonnet-4-5"


def binary() -> pathlib.Path | None:
    found = sorted(FOLDER.glob("node_modules/@anthropic-ai/claude-code-*/claude"))
    return found[0] if found else None


@pytest.fixture(scope="module")
def claude() -> pathlib.Path:
    if binary() is None and os.environ.get("TOLLWAY_TEST_CLIENTS") == "1":
        subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund"], cwd=FOLDER, capture_output=True, check=False, timeout=300
        )
    found = binary()
    if found is None:
        missing("claude-code", "not installed; TOLLWAY_TEST_CLIENTS=1 installs it")
        raise AssertionError
    return found


def test_claude_code_runs_a_tool_and_finishes(claude: pathlib.Path, tmp_path: pathlib.Path) -> None:
    port, work, home = free_port(), tmp_path / "work", tmp_path / "home"
    for folder in (work, home, tmp_path / "data"):
        folder.mkdir()
    script = ROOT / "tests" / "fakes" / "claude_code_provider.py"
    provider = subprocess.Popen([sys.executable, str(script), str(port)])
    config = {
        "providers": {"claude": {"protocol": "anthropic", "base_url": f"http://127.0.0.1:{port}", "api_key": "sk-up"}},
        "models": {MODEL: {"targets": [{"provider": "claude", "model": MODEL}]}},
    }
    try:
        with running(Stack(tmp_path / "data", config=config)) as stack:
            wait_for(lambda: calls(port) == [], what="the provider answers")
            done = subprocess.run(
                [str(claude), "-p", "write toll-42 into out.txt", "--model", MODEL, "--allowedTools", "Bash",
                 "--output-format", "json"],
                cwd=work, env=environ(stack, home), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr
            told = json.loads(done.stdout)
            assert (told["subtype"], told["result"]) == ("success", "The file is written.")
            assert (work / "out.txt").read_text().strip() == "toll-42"
            first, *_, last = calls(port)
            assert first["path"].endswith("?beta=true")
            assert "claude-code" in first["headers"]["anthropic-beta"]
            assert first["headers"]["x-api-key"] == "sk-up"
            assert last["results"][0]["tool_use_id"] == "toolu_1"
            events = stack.events(2, session_id=told["session_id"])
            assert [event["status"] for event in events] == ["ok"] * len(events)
    finally:
        provider.kill()
        provider.wait()


def calls(port: int) -> list[dict[str, object]]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
        found: list[dict[str, object]] = json.load(answer)
        return found


def environ(stack: Stack, home: pathlib.Path) -> dict[str, str]:
    nowhere = "http://127.0.0.1:9"
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "ANTHROPIC_BASE_URL": stack.url,
        "ANTHROPIC_AUTH_TOKEN": ADMIN,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "IS_SANDBOX": "1",
        "HTTP_PROXY": nowhere,
        "HTTPS_PROXY": nowhere,
        "NO_PROXY": "127.0.0.1,localhost",
    }
