"""Parquet: a column of strings, one document a row. Needs pyarrow (the extra `parquet`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from attrs import frozen

from tokframe.corpus.compression import optional_module
from tokframe.corpus.file import CorpusFile, Format, Span
from tokframe.errors import CorpusError

__all__ = ["Parquet"]

_BATCH_ROWS = 256


@frozen
class Parquet(Format):
    """Rows of one column, nulls left out. It is cut between row groups."""

    suffixes = (".parquet",)
    packed = True

    def records(self, file: CorpusFile, start: int = 0, end: int | None = None) -> Iterator[str]:
        """Yield the text of row groups `start` to `end`. Raises: CorpusError without pyarrow or the column."""
        with _opened(file) as table:
            columns = table.schema_arrow.names
            if file.column not in columns:
                raise _error(file, f' has no column "{file.column}"; it has {", ".join(columns)}')
            part = {} if end is None else {"row_groups": list(range(start, end))}
            for batch in table.iter_batches(batch_size=_BATCH_ROWS, columns=[file.column], **part):
                for text in batch.column(0).to_pylist():
                    if isinstance(text, str):
                        yield text
                    elif text is not None:
                        raise _error(file, f': column "{file.column}" holds {type(text).__name__}, not strings')

    def spans(self, file: CorpusFile, span_bytes: int, split: str) -> Iterator[Span]:
        """Yield a span for each row group, of whatever size."""
        with _opened(file) as table:
            found = table.metadata
            column = next(i for i in range(found.num_columns) if found.schema.column(i).path == file.column)
            for number in range(found.num_row_groups):
                weight = found.row_group(number).column(column).total_uncompressed_size
                yield Span(file=file, start=number, end=number + 1, weight=weight)


@contextmanager
def _opened(file: CorpusFile) -> Iterator[Any]:
    parquet = optional_module("pyarrow.parquet", file.path, "parquet")
    if file.compression:
        raise _error(file, ": parquet compresses by itself; unpack the file first")
    try:
        with parquet.ParquetFile(file.path) as table:
            yield table
    except CorpusError:
        raise
    except Exception as cause:  # pyarrow's errors are not importable where it is not installed
        raise _error(file, f" is not a readable parquet file ({cause})") from cause


def _error(file: CorpusFile, detail: str) -> CorpusError:
    return CorpusError(f"{file.path}{detail}", path=file.path)
