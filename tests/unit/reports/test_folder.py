"""Where artefacts lie."""

from pathlib import Path

import pytest

from services.reports.app import folder
from shared.settings import settings_from


@pytest.mark.parametrize(
    ("directory", "expected"),
    [
        (None, "/data/reports"),
        ("./data/reports", "/data/reports"),  # the example file, copied into a container whose folder is read-only
        ("/srv/reports", "/srv/reports"),
        ("elsewhere", "elsewhere"),
    ],
)
def test_the_default_folder_lies_in_the_data_folder_also_when_it_is_written_out(directory, expected):
    assert folder(settings_from({"TOLLWAY_DATA": "/data"}), directory) == Path(expected)
