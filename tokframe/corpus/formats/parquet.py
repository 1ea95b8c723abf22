"""Parquet: a column of strings, one document a row. Needs pyarrow (the extra `parquet`)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from attrs import frozen

from tokframe.corpus.compression import optional_module
from tokframe.corpus.file import CorpusFile, Format, Span, fields_named
from tokframe.errors import CorpusError

__all__ = ["Parquet"]

_BATCH_ROWS = 256


@frozen
class Parquet(Format):
    """Rows of one column, nulls left out. It is cut between row groups."""

    suffixes = (".parquet",)
    packed = True

    def records(self, file: CorpusFile, start: int = 0, end: int | None = None) -> Iterator[str]:
        """Yield the text of row groups `start` to `end`. Raises: FaultError; CorpusError without pyarrow."""
        with _opened(file) as table:
            _leaf(file, table.metadata)
            part = {} if end is None else {"row_groups": list(range(start, end))}
            rows = itertools.count(1)
            for batch in table.iter_batches(batch_size=_BATCH_ROWS, columns=[file.column], **part):
                for value, row in zip(_values(batch), rows, strict=False):
                    try:
                        text = value.decode() if isinstance(value, bytes) else value
                    except UnicodeDecodeError as cause:
                        place = f", row {row}" + (f" of row group {start}" if end is not None else "")
                        bad = file.fault(f"{place}: not UTF-8: byte 0x{value[cause.start]:02x}")
                        file.faults.leave_out_part(file.name, "record", start, row, bad)
                        continue
                    if isinstance(text, str):
                        yield text
                    elif text is not None:
                        raise file.fault(f': column "{file.column}" holds {type(text).__name__}, not strings')

    def spans(self, file: CorpusFile, span_bytes: int, split: str) -> Iterator[Span]:
        """Yield a span for each row group, of whatever size."""
        with _opened(file) as table:
            found = table.metadata
            column = _leaf(file, found)
            for number in range(found.num_row_groups):
                weight = found.row_group(number).column(column).total_uncompressed_size
                yield Span(file=file, start=number, end=number + 1, weight=weight)


def _leaf(file: CorpusFile, metadata: Any) -> int:
    """Return the number of the column that holds the text. Raises: FaultError naming those that there are."""
    leaves = [metadata.schema.column(number).path for number in range(metadata.num_columns)]
    if file.column not in leaves:
        raise file.fault(f' has no column "{file.column}" of text; {fields_named(leaves)}')
    return leaves.index(file.column)


def _values(batch: Any) -> list[Any]:
    """Return the values of the one column of a batch; where one is not UTF-8, all of them as bytes."""
    values = batch.column(0)
    while hasattr(values, "field"):  # a struct, of which only the one leaf was read
        values = values.flatten()[0]
    try:
        return list(values.to_pylist())
    except UnicodeDecodeError:
        return list(values.cast("binary").to_pylist())


@contextmanager
def _opened(file: CorpusFile) -> Iterator[Any]:
    parquet = optional_module("pyarrow.parquet", file.path, "parquet")
    if file.compression:
        raise file.fault(": parquet compresses by itself; unpack the file first")
    try:
        # opened here, as pyarrow takes no names that are not UTF-8
        with file.path.open("rb") as stream, parquet.ParquetFile(stream) as table:
            yield table
    except (CorpusError, MemoryError):
        raise
    except Exception as cause:  # pyarrow's errors are not importable where it is not installed
        if isinstance(cause, OSError) and cause.errno is not None:
            raise file.unreadable(cause) from cause
        raise file.fault(f" is not a readable parquet file ({cause})") from cause
