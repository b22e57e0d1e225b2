"""Real clients against one running Tollway."""

import json
import pathlib
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.system.stack import Stack, running, wait_for


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    with (
        tempfile.TemporaryDirectory(prefix="tollway-clients-", ignore_cleanup_errors=True) as folder,
        running(Stack(pathlib.Path(folder))) as stack,
    ):
        yield stack


@pytest.fixture
def is_cut(stack: Stack) -> Callable[[str], None]:
    """Wait until the provider saw the last call of a model cut."""

    def cut(model: str) -> None:
        def last() -> bool:
            with urllib.request.urlopen(f"{stack.provider_url}/ledger", timeout=5) as answer:
                calls: list[dict[str, Any]] = [c for c in json.load(answer)["calls"] if c["model"] == model]
            return bool(calls) and calls[-1]["cut"]

        wait_for(last, 3, f"the upstream call of {model} is cut")

    return cut
