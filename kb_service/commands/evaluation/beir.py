"""BEIR's corpus is large: only the documents that are judged are sent."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from kb_service.commands.remote import CommandFault


@contextmanager
def judged_corpus(corpus: Path, qrels: Path) -> Iterator[Path]:
    """A file with those lines of the corpus whose ids the qrels have. Raises CommandFault."""
    with TemporaryDirectory() as folder:
        part = Path(folder) / "corpus.jsonl"
        try:
            wanted = _words(qrels)
            with corpus.open("rb") as source, part.open("wb") as target:
                for line in source:
                    if _id(line) in wanted:
                        target.write(line.rstrip() + b"\n")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandFault(f"无法读取文件。A file cannot be read: {error}") from None
        yield part


def _words(qrels: Path) -> set[str]:
    """All cells: the service knows which column the ids are in."""
    cells = (line.replace(",", "\t").split("\t") for line in qrels.read_text("utf-8").splitlines())
    return {cell.strip().strip('"') for row in cells for cell in row}


def _id(line: bytes) -> str:
    try:
        known = json.loads(line)
    except ValueError:
        return ""
    return str(known.get("_id", known.get("id", ""))) if isinstance(known, dict) else ""
