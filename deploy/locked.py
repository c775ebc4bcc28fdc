"""The part of requirements.lock that some extras of pyproject.toml need: `locked.py EXTRA...`.

Runs before anything is installed, so the standard library is all it uses. The lock's `# via` lines
say who needs a package; following them from the extras gives the subset, hashes included.
"""

import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
_VIA = re.compile(r"^ +#(?: via)? +([\w.-]+)", re.MULTILINE)


def locked(extras: Iterable[str]) -> str:
    """Lines for `pip install --require-hashes -r`; an unknown extra is a KeyError."""
    blocks = _blocks((_ROOT / "requirements.lock").read_text(encoding="utf-8"))
    needed_by = {name: set(_VIA.findall(block)) for name, block in blocks.items()}
    wanted, found = _roots(extras), set[str]()
    while wanted:
        found |= wanted
        wanted = {name for name, parents in needed_by.items() if parents & wanted} - found
    if missing := found - blocks.keys():
        raise LookupError(f"not in requirements.lock: {', '.join(sorted(missing))}; run make lock")
    return "".join(blocks[name] for name in sorted(found))


def _roots(extras: Iterable[str]) -> set[str]:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements = list(project["dependencies"])
    for extra in extras:
        requirements += project["optional-dependencies"][extra]
    return {_normalised(requirement) for requirement in requirements}


def _blocks(lock: str) -> dict[str, str]:
    starts = [match.start() for match in re.finditer(r"^[A-Za-z0-9]", lock, re.MULTILINE)]
    ends = [*starts[1:], len(lock)]
    texts = [lock[start:end] for start, end in zip(starts, ends, strict=True)]
    blocks: dict[str, str] = {}
    for text in texts:  # a package may have one block for each version of Python
        blocks[_normalised(text)] = blocks.get(_normalised(text), "") + text
    return blocks


def _normalised(requirement: str) -> str:
    match = _NAME.match(requirement)
    assert match is not None
    return re.sub(r"[-_.]+", "-", match[0]).lower()


if __name__ == "__main__":
    sys.stdout.write(locked(sys.argv[1:]))
