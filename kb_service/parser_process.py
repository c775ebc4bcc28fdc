"""The child process that reads, cuts and tokenises documents, one after the other.

Frames on standard input and output are a length (4 bytes, big endian) and JSON. The child begins
with `{"ready"}`. The parent sends `{"path", "extension", "options", "parse_options"}` for a file
(with `origin`, metadata for each of its chunks; with `preview`, a number, to see so many chunks of
it in the `{"done"}`), or `{"chunks"}` any number of times and then `{"end"}` for passages that are
cut already. The child answers with
`{"chunks"}` frames, of which those with `progress` show that it is at work, and then one `{"done"}`
or `{"fault"}`. For `{"path", "extension", "records"}`, a number, the `{"done"}` has so many records
of a table at most. It ends with its standard input.
"""

import logging
import os
import struct
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median_low
from time import monotonic
from typing import Any, BinaryIO

import orjson

from kb_service.confinement import allow_seconds, confine, holds_bytes
from kb_service.entities import ChunkOptions, CustomDoc, InvalidOptions, ParseOptions
from kb_service.loaders import LoadFault, Opened, Reading, Section, open_document
from kb_service.splitters import shown_name, split_document
from kb_service.tokens import counted, sparse_vector, terms

BATCH = 50
CHUNKS_MAX = 100_000
TOO_MUCH_MEMORY = "解析所需内存过多。It needs too much memory to read."
_HEAVY_SHARE = 5  # one that holds a fifth of its limit ends, since it rarely gives it back
_SHOWN_EVERY = 2.0  # seconds
_CPU_SECONDS, _CPU_SECONDS_A_PICTURE = 300, 10


class _Work:
    """One document: its chunks go out in batches, its term counts at the end."""

    def __init__(self, output: BinaryIO, memory_mb: int) -> None:
        self._output, self._memory_mb = output, memory_mb
        self._counts: Counter[str] = Counter()
        self._chunks = 0
        self._shown = monotonic()

    def send(self, docs: Iterable[CustomDoc]) -> None:
        batch: list[dict[str, Any]] = []
        for doc in docs:
            if not doc.content.strip():
                continue
            batch.append(self._indexed(doc))
            if len(batch) >= BATCH or monotonic() - self._shown > _SHOWN_EVERY:
                self._write(batch)
                batch = []
        if batch:
            self._write(batch)

    def show_progress(self, done: int, total: int) -> None:
        """Says that it is at work, when it has said nothing for a while."""
        if monotonic() - self._shown > _SHOWN_EVERY:
            write_frame(self._output, {"chunks": [], "progress": [done, total]})
            self._shown = monotonic()

    def _write(self, batch: list[dict[str, Any]]) -> None:
        self._chunks += len(batch)
        if self._chunks > CHUNKS_MAX:
            raise _too_many_chunks()
        write_frame(self._output, {"chunks": batch})
        self._shown = monotonic()

    def preview(self, docs: Iterable[CustomDoc], first: int) -> dict[str, Any]:
        """The first chunks, and how many and how long all of them are."""
        shown: list[CustomDoc] = []
        lengths: list[int] = []
        for doc in docs:
            if not doc.content.strip():
                continue
            lengths.append(len(doc.content))
            if len(lengths) > CHUNKS_MAX:
                raise _too_many_chunks()
            if len(lengths) <= first:
                shown.append(doc)
            self.show_progress(len(lengths), 0)
        if not lengths:
            raise _no_text()
        return {
            "chunks": [asdict(doc) for doc in shown],
            "total": len(lengths),
            "characters": sum(lengths),
            "shortest": min(lengths),
            "median": median_low(lengths),
            "longest": max(lengths),
        }

    def ask_for_more(self) -> None:
        write_frame(self._output, {"chunks": []})

    def pass_check(self) -> None:
        write_frame(self._output, {"done": None})

    def finish(self, loader: str, splitter_name: str, notes: Sequence[str] = ()) -> None:
        if not self._chunks:
            raise _no_text()
        done = {
            "loader": loader,
            "splitter": splitter_name,
            "term_counts": dict(self._counts),
            "notes": list(notes),
        }
        self.write_done(done)

    def write_done(self, done: dict[str, Any]) -> None:
        is_heavy = holds_bytes() > (self._memory_mb << 20) // _HEAVY_SHARE
        write_frame(self._output, {"done": done, "retire": is_heavy})

    def _indexed(self, doc: CustomDoc) -> dict[str, Any]:
        counts = Counter(terms(doc.content))
        self._counts.update(counted(counts))
        vector = sparse_vector(counts)
        return {
            "content": doc.content,
            "metadata": doc.metadata,
            "context": doc.context,
            "indices": vector.indices,
            "values": vector.values,
        }


def main(memory_mb: int) -> None:
    confine(memory_mb)
    requests, output = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get between the frames
    terms("预热 warm")  # its tables are made before the first document comes
    write_frame(output, {"ready": True})
    while (request := read_frame(requests)) is not None:
        try:
            _serve(request, requests, _Work(output, memory_mb))
        except (LoadFault, InvalidOptions) as fault:
            write_frame(output, {"fault": str(fault)})
        except MemoryError:
            write_frame(output, {"fault": TOO_MUCH_MEMORY, "retire": True})
            return
        except Exception:  # the boundary: third parties' parsers raise anything on a bad file
            logging.getLogger(__name__).warning("a document could not be read", exc_info=True)
            write_frame(output, {"fault": "文件已损坏或格式不正确。The file is damaged."})


def _serve(request: dict[str, Any], requests: BinaryIO, work: _Work) -> None:
    if "records" in request:
        _read_records(request, work)
        return
    if "path" in request:
        _read_file(request, work)
        return
    frame: dict[str, Any] | None = request
    while frame and "chunks" in frame:
        allow_seconds(_CPU_SECONDS)
        work.send(CustomDoc(*chunk) for chunk in frame["chunks"])
        work.ask_for_more()
        frame = read_frame(requests)
    work.finish("", "")


def _read_file(request: dict[str, Any], work: _Work) -> None:
    options = ParseOptions(**request["parse_options"])
    pictures = options.ocr_pages_max if options.ocr else 0
    allow_seconds(_CPU_SECONDS + _CPU_SECONDS_A_PICTURE * pictures)
    reading = Reading(options, progress=work.show_progress)
    opened = open_document(Path(request["path"]), request["extension"], reading)
    if request["check_only"]:
        if not opened.is_slow:
            next(opened.sections, None)
        work.pass_check()
        return
    chunk_options = ChunkOptions.from_json(request["options"])
    name = shown_name(chunk_options.splitter)
    sections = _sections(Path(request["path"]), opened, chunk_options, reading)
    docs = split_document(_of(request.get("origin", {}), sections), chunk_options)
    if "preview" in request:
        preview = work.preview(docs, request["preview"])
        work.write_done(
            preview | {"loader": opened.loader, "splitter": name, "notes": reading.notes}
        )
        return
    work.send(docs)
    work.finish(opened.loader, name, reading.notes)


def _sections(
    path: Path, opened: Opened, options: ChunkOptions, reading: Reading
) -> Iterable[Section]:
    if options.splitter != "qa":
        return opened.sections
    from kb_service.loaders.pairs import pair_sections

    pairs = pair_sections(path, opened.loader, header_row=options.header_row, notes=reading.notes)
    return opened.sections if pairs is None else pairs


def _of(origin: dict[str, str], sections: Iterable[Section]) -> Iterable[Section]:
    """The sections, saying where their document is from."""
    if not origin:
        return sections
    return (replace(section, metadata=origin | section.metadata) for section in sections)


def _read_records(request: dict[str, Any], work: _Work) -> None:
    from kb_service.loaders.records import read_records

    allow_seconds(_CPU_SECONDS)
    path, extension, most = (request[key] for key in ("path", "extension", "records"))
    work.write_done({"records": read_records(Path(path), extension, most)})


def _too_many_chunks() -> LoadFault:
    return LoadFault(f"分块超过 {CHUNKS_MAX} 个，请拆分文件。Too large, split the file.")


def _no_text() -> LoadFault:
    return LoadFault("未提取到文字。No text was found in it.")


def read_frame(source: BinaryIO) -> Any:
    head = source.read(4)
    if len(head) < 4:
        return None
    return orjson.loads(source.read(struct.unpack(">I", head)[0]))


def write_frame(output: BinaryIO, frame: Any) -> None:
    body = orjson.dumps(frame, option=orjson.OPT_NON_STR_KEYS)
    output.write(struct.pack(">I", len(body)) + body)
    output.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))
