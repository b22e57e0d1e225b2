"""`python -m services.router` runs this service alone."""

from shared.process import main

main("router")
