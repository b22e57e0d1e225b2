"""`python -m services.usage` runs this service alone."""

from shared.process import main

main("usage")
