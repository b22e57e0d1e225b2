"""`python -m services` is the `tollway` command."""

from services.cli import main

main()
