"""JSON: one section an item of the top level."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from kb_service.loaders import LoadFault, Reading, Section
from kb_service.loaders.encodings import read_text


def load(path: Path, reading: Reading) -> Iterator[Section]:
    return _items(parsed(read_text(path), ""))


def _items(top: Any) -> Iterator[Section]:
    if isinstance(top, list):
        for number, item in enumerate(top):
            yield Section(item_text(item), {"index": number})
    elif isinstance(top, dict):
        for key, value in top.items():
            yield Section(f"{key}: {item_text(value)}", {"key": key})
    else:
        yield Section(item_text(top))


def parsed(text: str, where: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise LoadFault(f"JSON 格式错误。{where}Bad JSON: {error}") from None


def item_text(item: Any) -> str:
    if isinstance(item, dict):
        return "\n".join(f"{key}: {_value_text(value)}" for key, value in item.items())
    return _value_text(item)


def _value_text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
