"""The wording of reports, one file per language; every label, reason and sentence frame is looked up here."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

LANGUAGES = ("en", "zh")


@lru_cache(maxsize=len(LANGUAGES))
def words(language: str) -> dict[str, Any]:
    chosen = language if language in LANGUAGES else "en"
    read: dict[str, Any] = msgspec.json.decode((Path(__file__).parent / f"{chosen}.json").read_bytes())
    return read
