"""The service process never loads the libraries of the workshop process."""

import subprocess
import sys

import pytest

HEAVY = ("numpy", "jinja2", "weasyprint", "resvg_py", "PIL", "nh3")


@pytest.mark.parametrize("module", ["services.reports.app", "services.reports.command"])
def test_the_service_does_not_load_what_only_the_workshop_needs(module):
    code = f"import sys, {module}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
