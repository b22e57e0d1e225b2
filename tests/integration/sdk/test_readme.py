"""Every Python block of the library's README runs, and every example does."""

import re
import runpy
import sys
from pathlib import Path

import pytest
from tollway import ModelPricing

SDK = Path(__file__).parents[3] / "sdk"
BLOCKS = re.findall(r"```python\n(.*?)```", (SDK / "README.md").read_text(), re.S)


@pytest.fixture(autouse=True)
def own_prices(monkeypatch):
    monkeypatch.setattr(ModelPricing, "CUSTOM_PRICING", {})


@pytest.mark.parametrize("place", range(len(BLOCKS)))
@pytest.mark.usefixtures("as_client")
def test_a_block_of_the_readme_runs_against_a_server(place):
    exec(compile(BLOCKS[place], f"README block {place}", "exec"), {"__name__": "readme"})


@pytest.mark.parametrize(
    "place", [place for place, text in enumerate(BLOCKS) if "OpenAILike" not in text and "TollwayClient" not in text]
)
def test_a_block_of_the_readme_runs_without_one(place):
    exec(compile(BLOCKS[place], f"README block {place}", "exec"), {"__name__": "readme"})


@pytest.mark.parametrize("example", sorted((SDK / "examples").glob("*.py")), ids=lambda path: path.stem)
@pytest.mark.usefixtures("as_client")
def test_an_example_runs(example, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(example)])
    runpy.run_path(str(example), run_name="__main__")
    assert capsys.readouterr().out.strip()


def test_the_readme_names_every_variable():
    settings = (SDK / "src" / "tollway" / "settings.py").read_text()
    told = (SDK / "README.md").read_text()
    assert all(name in told for name in re.findall(r"TOLLWAY_[A-Z_]+", settings))
