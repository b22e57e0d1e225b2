"""The OpenAPI document is true: generated requests meet no 5xx and no answer that it does not describe."""

import pathlib
import subprocess
import sys

import pytest

from tests.conftest import missing
from tests.system.stack import ADMIN, Stack

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
PROGRAM = pathlib.Path(sys.executable).with_name("schemathesis")


@pytest.mark.timeout(600)
def test_nothing_generated_meets_a_failure_or_an_answer_that_is_not_described(stack: Stack) -> None:
    if not PROGRAM.exists():
        missing("schemathesis", "not installed")
    command = [
        str(PROGRAM), "run", f"{stack.url}/openapi.json", "-H", f"authorization: Bearer {ADMIN}", "--checks", CHECKS,
        "--phases", "examples,coverage,fuzzing", "--max-examples", "8", "--exclude-path-regex", "live$|events$",
        "--request-timeout", "20", "--seed", "1",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=230, cwd=stack.data)
    assert done.returncode == 0, done.stdout[-6000:]
