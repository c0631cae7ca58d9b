"""What a test needs and not every machine has: without it the test is skipped, unless all tests have to run."""

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest


def require(program: str, *, why: str, beside: Path | None = None) -> str:
    """Return the path of a program, in a folder of its own or on the path.

    Skips the test where the program is not on the path, or fails it where the environment says ``REQUIRE_ALL=1``, as
    that of the pipeline does.
    """
    path = (beside and shutil.which(program, path=beside)) or shutil.which(program)
    if path is None:
        skip_unless_required(f"{program} is not on the path: {why}")
    return path


def skip_unless_required(reason: str) -> NoReturn:
    """Skip the test for want of something, or fail it where all tests have to run."""
    if os.environ.get("REQUIRE_ALL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
