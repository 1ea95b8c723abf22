"""Counts: how often segments occur in a part of a text, exact and mergeable over parts.

Which segments are worth counting is decided in `candidates`; where a text may be cut in `parts`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from tokframe_dictionary.extensions import extension
from tokframe_dictionary.mining import reference
from tokframe_dictionary.mining.words import Words
from tokframe_dictionary.segmenter.reference import MAX_SEGMENT_BYTES

__all__ = ["Counts", "count_part", "recount_part", "sum_by_key"]


@frozen(kw_only=True, eq=False)
class Counts:
    """`keys` (segments, 3) uint64: 16 bytes, zero padded, and the length; sorted. `counts` (segments,) int64."""

    keys: npt.NDArray[np.uint64] = field(repr=False)
    counts: npt.NDArray[np.int64] = field(repr=False)

    def __len__(self) -> int:
        return len(self.counts)

    @classmethod
    def merge(cls, parts: Iterable[Counts]) -> Counts:
        """Return the sums over `parts`: the same whatever their order, and however they were merged before."""
        found = list(parts)
        if len(found) > 1 and all(np.array_equal(part.keys, found[0].keys) for part in found[1:]):
            return cls(keys=found[0].keys, counts=np.sum([part.counts for part in found], axis=0, dtype=np.int64))
        keys, counts = sum_by_key((part.keys for part in found), (part.counts for part in found), np.int64)
        return cls(keys=keys, counts=counts)

    def at_least(self, least: int) -> Counts:
        """Return only the segments that occur so often."""
        enough = self.counts >= least
        return Counts(keys=self.keys[enough], counts=self.counts[enough])

    def segments(self) -> list[bytes]:
        """Return the segments as bytes, in the order of `keys`."""
        raw, lengths = np.ascontiguousarray(self.keys[:, :2]).tobytes(), self.keys[:, 2].tolist()
        starts = range(0, len(raw), MAX_SEGMENT_BYTES)
        return [raw[start : start + length] for start, length in zip(starts, lengths, strict=True)]


def count_part(
    data: bytes | memoryview, longest: int = MAX_SEGMENT_BYTES, least: int = 1, words: int = Words.ANY
) -> Counts:
    """Count the substrings of 2 to `longest` bytes that occur at least `least` times in a part of a text.

    Only whole characters, and newlines only at the end; `words` says which occurrences count (see `words`). A part
    ends where `parts.cut` cuts it.
    """
    raw, lengths, counts = extension("mining._mine", reference).count_substrings(data, longest, least, words)
    keys = np.empty((len(lengths), 3), np.uint64)
    keys[:, :2] = np.frombuffer(raw, np.uint64).reshape(-1, 2)
    keys[:, 2] = np.frombuffer(lengths, np.uint8)
    return Counts.merge([Counts(keys=keys, counts=np.frombuffer(counts, np.uint32).astype(np.int64))])


def recount_part(data: bytes | memoryview, given: Counts, words: int = Words.ANY) -> Counts:
    """Count the segments of `given` in a part of a text, as `count_part` does; others are kept with 0."""
    raw = np.ascontiguousarray(given.keys[:, :2]).tobytes()
    lengths = given.keys[:, 2].astype(np.uint8).tobytes()
    counts = extension("mining._mine", reference).count_given(data, raw, lengths, words)
    return Counts(keys=given.keys, counts=np.frombuffer(counts, np.uint32).astype(np.int64))


def sum_by_key(
    keys: Iterable[npt.NDArray[np.uint64]], values: Iterable[npt.NDArray[Any]], kind: type[np.generic]
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[Any]]:
    """Return the distinct keys (segments, 3) of several lists, sorted, and the sum of each one's values of a `kind`."""
    rows = np.concatenate([np.zeros((0, 3), np.uint64), *keys])
    numbers = np.concatenate([np.zeros(0, kind), *values])
    order = np.lexsort(rows.T)
    rows, numbers = rows[order], numbers[order]
    if not len(rows):
        return rows, numbers
    starts = np.flatnonzero(np.concatenate([[True], (rows[1:] != rows[:-1]).any(axis=1)]))
    return rows[starts], np.add.reduceat(numbers, starts)
