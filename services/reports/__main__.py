"""`python -m services.reports` runs this service alone."""

from shared.process import main

main("reports")
