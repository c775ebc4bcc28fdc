"""Evaluation as commands see it: the sets of one knowledge base, over HTTP."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from kb_service.commands.remote import CommandFault, Remote, accepted

_PAGE = 200


class EvalRemote:
    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._path = f"{remote.path}/eval-sets"

    def sets(self) -> list[dict[str, Any]]:
        return list(self._pages(self._path))

    def set_named(self, name: str) -> int:
        """Raises CommandFault when there is none."""
        if (set_id := self._find(name)) is None:
            raise CommandFault(
                f"没有评测集 {name}，请先用 eval import 导入题目。"
                f"There is no set {name}; eval import makes one."
            )
        return set_id

    def set_made(self, name: str) -> int:
        """The set's id; it is made if need be."""
        set_id = self._find(name)
        if set_id is None:
            set_id = int(self._remote.call("POST", self._path, json={"name": name})["id"])
        return set_id

    def take_in(
        self, set_id: int, parts: dict[str, tuple[str, Path]], *, keep: bool
    ) -> dict[str, Any]:
        """Files by the form's fields, each with the name that it is sent under."""
        with ExitStack() as opened:
            try:
                files = {
                    field: (name, opened.enter_context(path.open("rb")))
                    for field, (name, path) in parts.items()
                }
            except OSError as error:
                raise CommandFault(f"无法读取文件。A file cannot be read: {error}") from None
            return self._sent(set_id, files, keep=keep)

    def add(self, set_id: int, items: list[dict[str, Any]]) -> dict[str, Any]:
        """Those whose questions are not there yet."""
        lines = "\n".join(json.dumps(item, ensure_ascii=False) for item in items)
        return self._sent(set_id, {"file": ("items.jsonl", lines.encode())}, keep=True)

    def export(self, set_id: int) -> bytes:
        return accepted(self._remote.ask("GET", f"{self._path}/{set_id}/items/export")).content

    def start(self, set_id: int, body: dict[str, Any]) -> dict[str, Any]:
        return self._dict("POST", f"{self._path}/{set_id}/runs", json=body)

    def run(self, set_id: int, run_id: int) -> dict[str, Any]:
        return self._dict("GET", f"{self._path}/{set_id}/runs/{run_id}")

    def runs(self, set_id: int) -> list[dict[str, Any]]:
        """The newest first."""
        return list(self._pages(f"{self._path}/{set_id}/runs"))

    def results(self, set_id: int, run_id: int, verdict: str) -> list[dict[str, Any]]:
        path = f"{self._path}/{set_id}/runs/{run_id}/results"
        return list(self._pages(path, verdict=verdict))

    def compared(self, set_id: int, before: int, after: int, outcomes: list[str]) -> dict[str, Any]:
        """The whole comparison, with the questions of these outcomes."""
        path = f"{self._path}/{set_id}/runs/{before}/compare/{after}"
        found = self._dict("GET", path, params={"page_size": 1})
        questions = (one for name in outcomes for one in self._pages(path, outcome=name))
        return {**found, "items": list(questions)}

    def feedback(self, **params: Any) -> Iterator[dict[str, Any]]:
        return self._pages("/admin/feedback", **params)

    def _sent(self, set_id: int, files: Any, *, keep: bool) -> dict[str, Any]:
        rewind = [file for _, file in files.values() if not isinstance(file, bytes)]
        return self._dict(
            "POST",
            f"{self._path}/{set_id}/items/import",
            rewind=rewind,
            files=files,
            data={"existing": "keep" if keep else "replace"},
        )

    def _find(self, name: str) -> int | None:
        found = self._dict("GET", self._path, params={"name": name})["items"]
        return int(found[0]["id"]) if found else None

    def _pages(self, path: str, **params: Any) -> Iterator[dict[str, Any]]:
        page, seen, total = 1, 0, 1
        while seen < total:
            shown = {"page": page, "page_size": _PAGE}
            found = self._dict("GET", path, params=params | shown)
            yield from found["items"]
            page, seen, total = page + 1, seen + _PAGE, found["total"]

    def _dict(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        found: dict[str, Any] = self._remote.call(method, path, **options)
        return found
