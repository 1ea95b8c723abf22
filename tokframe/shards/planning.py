"""Which text goes into which shard: decided from the corpus alone, before any work, never by who does it.

A unit of work is a stretch of the corpus; a unit fills one shard, or several where its text is compressed and only
reading tells how much there is.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO

from attrs import frozen

from tokframe.corpus.file import CorpusFile
from tokframe.corpus.files import Corpus
from tokframe.errors import CorpusError

__all__ = ["Span", "Unit", "automatic_size", "plan"]

_SHARE, _LEAST, _MOST = 64, 4_000_000, 256_000_000
_UNPACKED = 3  # bytes of text in a byte of a compressed file, to group small ones by; no file's shards depend on it
_WINDOW = 16_000_000  # bytes looked through for a place to cut a text; beyond it any whole character will do
_BLOCK = 1 << 16


@frozen(kw_only=True)
class Span:
    """A stretch of one file: bytes of a plain one, row groups of .parquet, all of a compressed one (`end` None)."""

    file: CorpusFile
    start: int = 0
    end: int | None = None
    weight: int = 0  #: bytes of text, estimated where only reading would tell


@frozen(kw_only=True)
class Unit:
    """One piece of work: the spans that worker `number` of the plan reads, in order."""

    number: int
    spans: tuple[Span, ...]
    rolls: bool  #: whether a shard ends when it is full, for text of unknown size

    @property
    def weight(self) -> int:
        """Bytes of text, estimated where only reading would tell."""
        return sum(span.weight for span in self.spans)


def automatic_size(corpus: Corpus) -> int:
    """Return the shard size, in bytes of text, for a corpus whose user names none."""
    total = sum(_weight(file) for file in corpus.files)
    return min(max(-(-total // _SHARE), _LEAST), _MOST)


def plan(corpus: Corpus, shard_size: int, split: str) -> list[Unit]:
    """Cut a corpus into units of about `shard_size` bytes of text: same files, same units.

    A file that fits is never cut; a longer one is cut into equal parts at the next line end (or blank line, as
    `split` says), .parquet between row groups, a compressed file not at all. Raises: CorpusError.
    """
    return [
        Unit(number=number, spans=tuple(spans), rolls=any(_of_unknown_size(span.file) for span in spans))
        for number, spans in enumerate(_grouped(corpus.files, shard_size, split))
    ]


def _grouped(files: Sequence[CorpusFile], shard_size: int, split: str) -> Iterator[list[Span]]:
    group: list[Span] = []
    filled = 0
    for file in files:
        for span in _spans(file, shard_size, split):
            if group and filled + span.weight > shard_size:
                yield group
                group, filled = [], 0
            group.append(span)
            filled += span.weight
    if group:
        yield group


def _spans(file: CorpusFile, shard_size: int, split: str) -> Iterable[Span]:
    if file.format == "parquet":
        return _row_groups(file)
    if file.compression or file.whole or _weight(file) <= shard_size:
        return [Span(file=file, end=None if _of_unknown_size(file) else _weight(file), weight=_weight(file))]
    return _parts(file, shard_size, split)


def _of_unknown_size(file: CorpusFile) -> bool:
    return bool(file.compression) or file.format == "parquet"


def _weight(file: CorpusFile) -> int:
    try:
        size = file.path.stat().st_size
    except OSError as error:
        raise CorpusError(f"cannot read {file.path}: {error.strerror}", path=file.path) from error
    return size * _UNPACKED if _of_unknown_size(file) else size


def _row_groups(file: CorpusFile) -> Iterator[Span]:
    parquet: Any = importlib.import_module("pyarrow.parquet")  # it is there: the corpus has looked into the file
    try:
        with parquet.ParquetFile(file.path) as table:
            found = table.metadata
            column = next(i for i in range(found.num_columns) if found.schema.column(i).path == file.column)
            for number in range(found.num_row_groups):
                weight = found.row_group(number).column(column).total_uncompressed_size
                yield Span(file=file, start=number, end=number + 1, weight=weight)
    except Exception as cause:  # pyarrow's errors are not importable where it is not installed
        raise CorpusError(f"{file.path} is no readable parquet file ({cause})", path=file.path) from cause


def _parts(file: CorpusFile, shard_size: int, split: str) -> Iterator[Span]:
    size = _weight(file)
    count = -(-size // shard_size)
    start = 0
    try:
        with file.path.open("rb") as stream:
            for number in range(1, count + 1):
                end = size if number == count else _cut(stream, max(start, size * number // count), size, file, split)
                if end > start:
                    yield Span(file=file, start=start, end=end, weight=end - start)
                start = end
    except OSError as error:
        raise CorpusError(f"cannot read {file.path}: {error.strerror}", path=file.path) from error


def _cut(stream: BinaryIO, at: int, size: int, file: CorpusFile, split: str) -> int:
    """Return the first place from `at` on where a document may begin."""
    if file.format == "jsonl":  # a record is never cut, however long
        return _after_line(stream, at, size) or size
    limit = min(size, at + _WINDOW)
    found = (_after_blank(stream, at, limit) if split == "blank-line" else 0) or _after_line(stream, at, limit)
    if found:
        return found
    if limit == size and limit - at < _WINDOW:
        return size
    stream.seek(at)
    return at + next((i for i, byte in enumerate(stream.read(4)) if byte & 0xC0 != 0x80), 0)


def _after_line(stream: BinaryIO, at: int, limit: int) -> int:
    """Return where the first line after byte `at - 1` begins, 0 if none does before `limit`."""
    position = at - 1
    stream.seek(position)
    while position < limit:
        block = stream.read(min(_BLOCK, limit - position))
        if not block:
            return 0
        if (found := block.find(b"\n")) >= 0:
            return position + found + 1
        position += len(block)
    return 0


def _after_blank(stream: BinaryIO, at: int, limit: int) -> int:
    """Return where the first line after a blank one begins, from `at` on; 0 if none does before `limit`."""
    position = _after_line(stream, at, limit)
    if not position:
        return 0
    stream.seek(position)
    while position < limit and (line := stream.readline(limit - position)):
        position += len(line)
        if line.endswith(b"\n") and not line.strip(b" \t\r\n"):
            return position
    return 0
