"""XML of any kind: the text in it; elements that look like fields keep their names."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kb_service.loaders import LoadFault, Reading, Section
from kb_service.loaders.safe_xml import local_name, parse_xml

_DEPTH_MAX = 250  # the parser stops there too


def load(path: Path, reading: Reading) -> Iterator[Section]:
    root = parse_xml(path.read_bytes())
    if not any(text.strip() for text in root.itertext()):
        raise LoadFault("文件中没有文字。The file has no text.")
    return _sections(root)


def _sections(root: Any) -> Iterator[Section]:
    """One for each record right below the root, or one for all."""
    records = [child for child in root if _is_record(child)]
    if records and len(records) == len(root):
        for number, record in enumerate(records):
            yield Section("\n".join(_lines(record)), {"index": number})
    else:
        yield Section("\n".join(_lines(root)))


def _lines(element: Any) -> Iterator[str]:
    if _is_record(element):
        for field in element:
            if text := _joined(field):
                yield f"{local_name(field)}: {text}"
    elif (element.text or "").strip() or not len(element) or _is_mixed(element):
        if text := _joined(element):
            yield text
    else:
        for child in element:
            yield from _lines(child)


def _is_record(element: Any) -> bool:
    """Only fields, each with a name of its own."""
    names = [local_name(field) for field in element]
    return (
        len(names) > 1
        and len(set(names)) == len(names)
        and not _is_mixed(element)
        and all(not len(field) for field in element)
    )


def _is_mixed(element: Any) -> bool:
    return any((child.tail or "").strip() for child in element)


def _joined(element: Any) -> str:
    return " ".join("".join(element.itertext()).split())
