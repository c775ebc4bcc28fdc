"""Programs of the operating system that some tests drive."""

import os
import shutil

import pytest


def program(name: str) -> str:
    """Its path. Where CI is set its absence is a failure, elsewhere the test is skipped."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None and os.environ.get("CI"):
        pytest.fail(f"{name} is not installed; .ci/run installs it")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found
