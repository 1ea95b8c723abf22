"""JSON lines: one JSON object a line, whose text field is a document."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator
from functools import partial

from attrs import frozen

from tokframe.corpus.faults import FaultError
from tokframe.corpus.file import CHUNK_BYTES, CorpusFile, Format, fields_named

__all__ = ["JsonLines"]

_MAX_LINE_BYTES = 256_000_000  # a longer record is left out: memory stays bounded


@frozen
class JsonLines(Format):
    """One record a line; blank lines and records whose text is null are left out."""

    suffixes = (".jsonl", ".ndjson")

    def records(self, file: CorpusFile, start: int = 0, end: int | None = None) -> Iterator[str]:
        """Yield the text field of each line from byte `start` to `end`; a bad record is told by its line."""
        for number, line in enumerate(_lines(file.chunks(CHUNK_BYTES, start, end)), 1):
            try:
                text = _text(line, file.column)
            except ValueError as cause:
                file.faults.leave_out_part(
                    file.name, "record", start, number, partial(_fault, file, start, number, cause)
                )
            else:
                yield text


def _fault(file: CorpusFile, start: int, number: int, cause: ValueError) -> FaultError:
    # Lines before `start` are counted only now, so that reading need not.
    before = sum(chunk.count(b"\n") for chunk in file.chunks(CHUNK_BYTES, 0, start)) if start else 0
    return file.fault(f", line {before + number}: {cause}")


def _text(line: bytes | None, column: str) -> str:
    """Return the text field of a line, "" for none. Raises: ValueError saying what is wrong with it."""
    if line is None:
        raise ValueError(f"longer than {_MAX_LINE_BYTES / 1e6:,.0f} MB")
    if not line or line.isspace():
        return ""
    try:
        record = json.loads(line.removeprefix(codecs.BOM_UTF8).decode())
    except UnicodeDecodeError as cause:
        raise ValueError(f"not UTF-8: byte 0x{line[cause.start]:02x}") from cause
    except (ValueError, RecursionError) as cause:
        raise ValueError(f"not JSON ({cause})" if isinstance(cause, ValueError) else "JSON nested too deep") from cause
    try:
        text = _field(record, column)
    except (KeyError, TypeError):
        raise ValueError(f'expected a string "{column}", there is none{_fields(record)}') from None
    if text is None:
        return ""
    if not isinstance(text, str):
        raise ValueError(f'expected a string "{column}", it is of type {type(text).__name__}{_fields(record)}')
    try:
        text.encode()
    except UnicodeEncodeError as cause:
        raise ValueError(f"character {cause.start} of the text is a lone surrogate") from cause
    return text


def _field(record: object, column: str) -> object:
    """Return a field by its name, or in objects one within the other: `meta.text`. Raises: KeyError or TypeError."""
    if not isinstance(record, dict):
        raise TypeError
    if column in record or "." not in column:
        return record[column]
    outer, _, inner = column.partition(".")
    return _field(record[outer], inner)


def _fields(record: object) -> str:
    return f"; {fields_named(_names(record))}" if isinstance(record, dict) else ""


def _names(record: dict[str, object], prefix: str = "", levels: int = 4) -> Iterator[str]:
    for name, value in record.items():
        if isinstance(value, dict) and value and levels:
            yield from _names(value, f"{prefix}{name}.", levels - 1)
        else:
            yield prefix + name


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes | None]:
    """Yield each line without its end, in time proportional to it; None for one that is too long."""
    parts: list[bytes] = []
    size = 0
    for chunk in chunks:
        first, *more = chunk.split(b"\n")
        size += len(first)
        if size <= _MAX_LINE_BYTES:
            parts.append(first)
        else:
            parts.clear()
        if more:
            *lines, last = more
            yield b"".join(parts) if size <= _MAX_LINE_BYTES else None
            yield from lines
            parts, size = [last], len(last)
    yield b"".join(parts) if size <= _MAX_LINE_BYTES else None
