"""A tool with a side effect that keeps its own books: what the ledger's tool calls are compared with."""

import os
from pathlib import Path

from chaos.trap import FOLDER

BOOKS = "tool-books"


def note(marker: str) -> str:
    """Writes the marker down, once for every time it is run."""
    with (Path(os.environ[FOLDER]) / BOOKS).open("a") as books:
        books.write(marker + "\n")
    return f"noted {marker}"
