"""A gateway composed as it runs, with the router scripted."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.gateway import Gateway, opened


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with opened(tmp_path) as found:
        yield found
