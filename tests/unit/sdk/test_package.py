"""The package as a whole: its version, what importing it costs, and what it keeps away from."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import tollway

SDK = Path(__file__).parents[3] / "sdk"
SOURCES = sorted((SDK / "src").rglob("*.py"))


def imported(source):
    """The top-level packages a file imports."""
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0]


def test_the_version_is_the_distributions():
    assert tollway.__version__ == tomllib.loads((SDK / "pyproject.toml").read_text())["project"]["version"]


def test_the_library_imports_its_two_dependencies_and_nothing_of_the_services():
    foreign = {name for source in SOURCES for name in imported(source)} - set(sys.stdlib_module_names) - {"tollway"}
    assert foreign == {"httpx2", "pydantic", "fastapi", "starlette"}


def test_only_the_server_package_needs_the_extra():
    needing = {
        source.relative_to(SDK / "src/tollway").parts[0]
        for source in SOURCES
        if {"fastapi", "starlette"} & set(imported(source))
    }
    assert needing == {"server"}


def test_importing_the_library_loads_nothing_heavy():
    code = "import sys, tollway; print([name for name in ('pydantic', 'httpx2', 'fastapi') if name in sys.modules])"
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(SDK / "src")}
    )
    assert told.stdout.strip() == "[]", told


def test_everything_exported_is_there():
    assert sorted(tollway.__all__) == tollway.__all__
    assert all(hasattr(tollway, name) for name in tollway.__all__)


def test_no_file_is_longer_than_the_house_allows():
    assert [source.name for source in SOURCES if len(source.read_text().splitlines()) > 400] == []
