"""The wheel builds, installs alone in an empty environment, and the examples run there."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "sdk" / "examples").glob("*.py"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not installed"),
    pytest.mark.timeout(300),
]


def run(*command, cwd, **environment):
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("TOLLWAY_", "PYTHON", "VIRTUAL_ENV"))
    }
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    run("uv", "build", "--quiet", "--wheel", "--package", "tollway", "--out-dir", folder, cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


def newer_pythons():
    """Other interpreters this machine happens to have."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [*versions.glob("3.1[2-9]*/bin/python"), *Path("/usr/bin").glob("python3.1[2-9]")]
    return sorted((path for path in found if path.is_file()), key=_minor)


def _minor(python):
    return int(re.search(r"3\.(\d+)", str(python))[1])


def environment(folder, *what, python=sys.executable):
    run("uv", "venv", "--quiet", "--python", python, folder, cwd="/")
    python = folder / "bin" / "python"
    try:
        run("uv", "pip", "install", "--quiet", "--python", python, *what, cwd="/")
    except AssertionError as error:
        if "dns error" in str(error) or "Failed to fetch" in str(error) or "Connection refused" in str(error):
            pytest.skip("no package index can be reached")
        raise
    return python


@pytest.fixture(scope="module")
def bare(wheel, tmp_path_factory):
    """An environment with the wheel and its two dependencies only."""
    return environment(tmp_path_factory.mktemp("bare") / "venv", wheel)


@pytest.fixture(scope="module")
def full(wheel, tmp_path_factory):
    """An environment with the server extra too."""
    return environment(tmp_path_factory.mktemp("full") / "venv", f"tollway[server] @ file://{wheel}")


def test_the_wheel_holds_the_library_and_its_types_only(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"tollway"}
    assert "tollway/py.typed" in names
    metadata = zipfile.ZipFile(wheel).read(next(name for name in names if name.endswith("METADATA"))).decode()
    needed = {line.split(": ")[1] for line in metadata.splitlines() if line.startswith("Requires-Dist")}
    assert {line.split(">")[0] for line in needed if "extra ==" not in line} == {"httpx2", "pydantic"}


def test_everything_but_the_server_works_without_the_extra(bare, tmp_path):
    code = (
        "import tollway, tollway.agent, tollway.client, tollway.memory, tollway.models, tollway.tools, sys\n"
        "tollway.record_ai_usage('qwen-plus', 'f', 1000, 1000)\n"
        "print(tollway.get_usage_monitor().get_daily_summary().total_cost, 'fastapi' in sys.modules)\n"
        "try:\n    import tollway.server\nexcept ImportError as error:\n    print(error)\n"
    )
    told = run(bare, "-c", code, cwd=tmp_path).splitlines()
    assert told[0] == "0.0024 False"
    assert "pip install 'tollway[server]'" in told[1]


@pytest.mark.parametrize("python", newer_pythons(), ids=lambda path: f"3.{_minor(path)}")
def test_newer_pythons_do_as_well(wheel, python, tmp_path, live):
    newer = environment(tmp_path / "venv", f"tollway[server] @ file://{wheel}", python=python)
    code = "import runpy, sys\nfor name in sys.argv[1:]: runpy.run_path(name, run_name='__main__')"
    assert run(newer, "-c", code, *EXAMPLES, cwd=tmp_path, **live.environment).count("\n") >= len(EXAMPLES)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_the_examples_run_there(full, example, tmp_path, live):
    assert run(full, example, cwd=tmp_path, **live.environment).strip()
