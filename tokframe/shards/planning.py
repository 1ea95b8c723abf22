"""Plan: the units of work that a corpus is cut into, which follow from its files alone, never from who does the work.

A unit fills one shard, or several where its text is compressed and only reading tells how much there is. Where a
file may be cut is left to its format.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import evolve, frozen

from tokframe.corpus.faults import Faults
from tokframe.corpus.file import CorpusFile, Span
from tokframe.corpus.files import Corpus

__all__ = ["Unit", "automatic_size", "plan"]

_AUTOMATIC_SHARDS = 64
_MIN_SHARD_BYTES, _MAX_SHARD_BYTES = 4_000_000, 256_000_000


@frozen(kw_only=True)
class Unit:
    """One piece of work: the spans that worker `number` of the plan reads, in order."""

    number: int
    spans: tuple[Span, ...]
    rolls: bool  #: whether a shard ends when it is full, for text of unknown size

    @property
    def faults(self) -> Faults:
        """What was left out of the text, once it is read."""
        return self.spans[0].file.faults

    @property
    def weight(self) -> int:
        """Bytes of text, estimated where only reading would tell."""
        return sum(span.weight for span in self.spans)


def automatic_size(corpus: Corpus) -> int:
    """Return the shard size, in bytes of text, for a corpus whose user names none."""
    total = sum(file.estimated_bytes() for file in corpus.files)
    return min(max(-(-total // _AUTOMATIC_SHARDS), _MIN_SHARD_BYTES), _MAX_SHARD_BYTES)


def plan(corpus: Corpus, shard_size: int, split: str) -> list[Unit]:
    """Cut a corpus into units of about `shard_size` bytes of text: same files, same units.

    A file that fits is never cut; a longer one is cut into equal parts at the next line end (or blank line, as
    `split` says), .parquet between row groups, a compressed file not at all. Raises: CorpusError.
    """
    return [
        Unit(number=number, spans=_own(spans), rolls=any(span.file.packed for span in spans))
        for number, spans in enumerate(_grouped(corpus.files, shard_size, split))
    ]


def _own(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Return spans whose files count what is left out for this unit alone."""
    faults = spans[0].file.faults.fresh()
    return tuple(evolve(span, file=evolve(span.file, faults=faults)) for span in spans)


def _grouped(files: Sequence[CorpusFile], shard_size: int, split: str) -> Iterator[list[Span]]:
    group: list[Span] = []
    filled = 0
    for file in files:
        for span in file.format.spans(file, shard_size, split):
            if group and filled + span.weight > shard_size:
                yield group
                group, filled = [], 0
            group.append(span)
            filled += span.weight
    if group:
        yield group
