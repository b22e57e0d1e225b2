"""The house rules that a machine can keep."""

import ast
import pathlib
import re

import pytest

from shared import errors
from shared.config.schema import Config
from shared.config.section import Section
from shared.errors import TollwayError
from tests.architecture import env_example

ROOT = pathlib.Path(__file__).parents[2]
SERVICES = ("gateway", "router", "tools", "usage", "reports")
SOURCES = sorted(path for folder in ("services", "shared", "sdk/src") for path in (ROOT / folder).rglob("*.py"))
BANNED_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "misc", "base_utils"}
MOST_LINES = 400


def short(path: pathlib.Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=short)
def test_no_file_is_too_long(path):
    assert len(path.read_text().splitlines()) <= MOST_LINES


def test_no_module_is_a_junk_drawer():
    # The library's public module names are the seed's.
    assert [short(path) for path in SOURCES if path.stem in BANNED_NAMES] == []


def test_every_module_says_what_belongs_in_it():
    bare = [
        short(path)
        for path in SOURCES
        if path.read_text().strip()
        and ast.get_docstring(ast.parse(path.read_text())) is None
        and "migrations/versions" not in str(path)
    ]
    assert bare == []


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_the_same_first_files(service):
    folder = ROOT / "services" / service
    assert {"__init__.py", "__main__.py", "app.py"} <= {path.name for path in folder.iterdir()}
    assert len((folder / "__main__.py").read_text().splitlines()) <= 10


def test_every_suppression_says_why():
    mute = re.compile(r"#\s*(noqa|type: ignore)(?!.*( --? |  # )\S)")
    found = [
        f"{short(path)}:{number}"
        for path in SOURCES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if mute.search(line)
    ]
    assert found == []


def test_nothing_promised_is_left_open():
    open_ends = re.compile(r"\b(TODO|FIXME|XXX)\b")
    found = [
        f"{short(path)}:{number}"
        for path in SOURCES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if open_ends.search(line)
    ]
    assert found == []


def subclasses(kind):
    for child in kind.__subclasses__():
        yield child
        yield from subclasses(child)


def test_every_error_has_a_code_a_status_and_a_sentence():
    for kind in subclasses(TollwayError):
        assert isinstance(kind.code, str)
        assert 400 <= kind.status < 600
        assert isinstance(kind.retryable, bool)
        assert kind.log_level in ("debug", "info", "warning", "error")
        assert kind.__doc__
        assert kind.__doc__.strip().endswith(".")


def test_the_error_tree_is_drawn_whole():
    drawn = errors.__doc__
    assert [
        kind.__name__
        for kind in subclasses(TollwayError)
        if kind.__module__ == "shared.errors" and kind.__name__ not in drawn
    ] == []


def test_the_environment_example_is_the_settings():
    assert (ROOT / ".env.example").read_text() == env_example.text()


def sections(kind=Config, seen=None):
    seen = {} if seen is None else seen
    for field in kind.model_fields.values():
        for found in _models(field.annotation):
            if found not in seen:
                seen[found] = list(found.model_fields)
                sections(found, seen)
    return seen


def _models(annotation):
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [found for argument in getattr(annotation, "__args__", ()) for found in _models(argument)]


def test_every_key_of_the_configuration_is_in_the_example():
    text = (ROOT / "tollway.example.yaml").read_text()
    keys = {name for names in sections().values() for name in names} | set(Config.model_fields)
    assert sorted(name for name in keys if not re.search(rf"\b{name}\b", text)) == []


def test_every_message_is_documented():
    text = (ROOT / "docs" / "architecture.md").read_text()
    names = []
    for path in (ROOT / "shared" / "messages").glob("*.py"):
        names += [node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)]
    assert [name for name in names if f"`{name}`" not in text and name not in text] == []


def test_no_machine_path_is_in_the_project():
    words = ("/work/", "/var/tmp/", "helper-", "claude-session")
    found = [short(path) for path in SOURCES if any(word in path.read_text() for word in words)]
    assert found == []
