"""`python -m services.gateway` runs this service alone."""

from shared.process import main

main("gateway")
