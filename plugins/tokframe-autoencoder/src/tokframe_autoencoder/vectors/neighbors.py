"""NeighborCounts: how often each segment stands beside each frequent one, counted in parts that add up exactly.

What is made of the counts is left to `use`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Self

import numpy as np
import numpy.typing as npt
from tokframe_dictionary.mining.workers import Workers
from tokframe_dictionary.segmenter.segmenter import Segmenter

__all__ = ["CONTEXTS", "DISTANCES", "NeighborCounts", "count_neighbors", "text_blocks"]

IntArray = npt.NDArray[np.int64]

#: Places of a neighbor, in segments from where one stands; each is counted by itself.
DISTANCES = (-2, -1, 1, 2)
#: The most frequent segments, beside which others are counted.
CONTEXTS = 4000
#: Text that is counted, in bytes; of more text, blocks evenly spread.
TEXT_BYTES = 96 << 20
BLOCK_BYTES = 1 << 18
#: Pairs that wait before they are added to the sorted ones: a bound on memory.
_WAITING_PAIRS = 1 << 22


class NeighborCounts:
    """Counts of (segment, distance, frequent segment); those of two halves of a text, merged, are those of the whole.

    `contexts` (at most CONTEXTS,) int64: the frequent segments, each beside a column for each of DISTANCES.
    """

    def __init__(self, segments: int, contexts: IntArray) -> None:
        self.segments, self.contexts = segments, contexts
        self.columns = len(DISTANCES) * len(contexts)
        self._slots = np.full(segments, -1, np.int64)
        self._slots[contexts] = np.arange(len(contexts))
        self._pairs = (np.zeros(0, np.int64), np.zeros(0, np.int64))
        self._waiting: list[tuple[IntArray, IntArray]] = []

    @classmethod
    def of(cls, uses: npt.NDArray[np.int64], contexts: int = CONTEXTS) -> Self:
        """Return empty counts whose contexts are the most used segments, of those used alike the first."""
        order = np.argsort(-uses, kind="stable")[:contexts]
        return cls(len(uses), order[uses[order] > 0])

    def add(self, ids: npt.NDArray[np.integer]) -> None:
        """Count a text given as segment numbers, (tokens,)."""
        found = []
        for number, distance in enumerate(DISTANCES):
            here, there = (ids[:-distance], ids[distance:]) if distance > 0 else (ids[-distance:], ids[:distance])
            slots = self._slots[there]
            known = slots >= 0
            found.append(here[known].astype(np.int64) * self.columns + number * len(self.contexts) + slots[known])
        self._wait(np.unique(np.concatenate(found), return_counts=True))

    def merge(self, other: NeighborCounts) -> None:
        """Add the counts of another part of the text. Raises: ValueError where its contexts are others."""
        if self.segments != other.segments or not np.array_equal(self.contexts, other.contexts):
            raise ValueError("counts beside other segments cannot be added")
        self._wait(other._sorted())

    def entries(self) -> tuple[IntArray, IntArray, IntArray]:
        """Return segment, column and count of each pair that occurs, ordered by segment, then column: (pairs,) each."""
        keys, counts = self._sorted()
        return keys // max(1, self.columns), keys % max(1, self.columns), counts

    def _wait(self, pairs: tuple[IntArray, IntArray]) -> None:
        self._waiting.append(pairs)
        if sum(len(keys) for keys, _ in self._waiting) > _WAITING_PAIRS:
            self._sorted()

    def _sorted(self) -> tuple[IntArray, IntArray]:
        if self._waiting:
            keys, counts = (np.concatenate(parts) for parts in zip(self._pairs, *self._waiting, strict=True))
            self._waiting.clear()
            order = np.argsort(keys, kind="stable")
            keys = keys[order]
            first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])[: len(keys)])
            self._pairs = keys[first], np.add.reduceat(counts[order], first) if len(first) else counts
        return self._pairs


def count_neighbors(
    texts: Sequence[bytes], segments: Sequence[bytes], uses: npt.NDArray[np.int64], workers: Workers
) -> NeighborCounts:
    """Count the neighbors of `segments`, which include the single bytes, in texts; the same by any workers."""
    segmenter = Segmenter(segments, np.arange(len(segments), dtype=np.int32))
    counts = NeighborCounts.of(uses)
    tasks = ((n, (segmenter, counts.segments, counts.contexts, block)) for n, block in enumerate(text_blocks(texts)))
    for _, part in workers.run(_count, tasks):
        counts.merge(part)
    return counts


def text_blocks(texts: Sequence[bytes], budget: int = TEXT_BYTES, size: int = BLOCK_BYTES) -> Iterator[memoryview]:
    """Yield blocks of whole lines of about `size` bytes (a longer line is one); about `budget` bytes, evenly spread."""
    total, seen = sum(map(len, texts)), 0
    for block in _blocks(texts, size):
        before, seen = seen, seen + len(block)
        if total <= budget or seen * budget // (total * size) > before * budget // (total * size):
            yield block


def _blocks(texts: Iterable[bytes], size: int) -> Iterator[memoryview]:
    for text in texts:
        view, start = memoryview(text), 0
        while start < len(text):
            end = text.find(b"\n", start + size - 1) + 1 or len(text)
            yield view[start:end]
            start = end


def _count(segmenter: Segmenter, segments: int, contexts: IntArray, block: bytes | memoryview) -> NeighborCounts:
    part = NeighborCounts(segments, contexts)
    part.add(segmenter.encode(bytes(block)))
    return part
