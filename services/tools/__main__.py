"""`python -m services.tools` runs this service alone."""

from shared.process import main

main("tools")
