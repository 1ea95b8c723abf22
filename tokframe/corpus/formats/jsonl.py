"""JSON lines: one JSON object a line, whose text field is a document."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from attrs import frozen

from tokframe.corpus.file import CHUNK_BYTES, CorpusFile, Format
from tokframe.errors import CorpusError

__all__ = ["JsonLines"]


@frozen
class JsonLines(Format):
    """One record a line; blank lines are left out."""

    suffixes = (".jsonl", ".ndjson")

    def records(self, file: CorpusFile, start: int = 0, end: int | None = None) -> Iterator[str]:
        """Yield the text field of each line from byte `start` to `end`. Raises: CorpusError naming the line."""
        for number, line in enumerate(_lines(file.chunks(CHUNK_BYTES, start, end)), 1):
            if not line.strip():
                continue
            try:
                text = _text(line, file.column)
            except ValueError as cause:
                # Lines before `start` are counted only now, so that reading need not.
                before = sum(chunk.count(b"\n") for chunk in file.chunks(CHUNK_BYTES, 0, start)) if start else 0
                raise CorpusError(f"{file.path}, line {before + number}: {cause}", path=file.path) from cause
            yield text


def _text(line: bytes, column: str) -> str:
    """Return the text field of a line. Raises: ValueError saying what is wrong with it."""
    try:
        record = json.loads(line)
    except ValueError as cause:  # not JSON, or not UTF-8
        raise ValueError(f"not JSON ({cause})") from cause
    text = record.get(column) if isinstance(record, dict) else None
    if not isinstance(text, str):
        kind = f"it is a {type(text).__name__}" if text is not None else "there is none"
        keys = f"; its fields are {', '.join(map(repr, record))}" if isinstance(record, dict) else ""
        raise ValueError(f'expected a string "{column}", {kind}{keys}')
    try:
        text.encode()
    except UnicodeEncodeError as cause:
        raise ValueError(f"character {cause.start} of the text is a lone surrogate") from cause
    return text


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    yield rest
