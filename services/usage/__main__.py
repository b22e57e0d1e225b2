"""`python -m services.usage`: the ledger alone."""

import sys

from services.cli import main

main(["serve", "usage", *sys.argv[1:]])
