"""The library is imported from its folder, as the operator's code would import the installed one."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "sdk" / "src"))
