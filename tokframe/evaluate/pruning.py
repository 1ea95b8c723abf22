"""Pruning curve: an estimate of what a smaller vocabulary would cost, from the use of each id and its respelling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from attrs import frozen

from tokframe.evaluate.measures import Counts

__all__ = ["PruningPoint", "pruning_curve"]

_FRACTIONS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 1)


@frozen(kw_only=True)
class PruningPoint:
    """The tokens of the text with only `kept` ids left, of which `unspellable` could not be spelled any more."""

    kept: int
    tokens: int
    unspellable: int


def pruning_curve(spelling: Sequence[bytes], counts: Counts, always: npt.NDArray[np.bool_]) -> tuple[PruningPoint, ...]:
    """Return the estimated cost of keeping only the most used ids, at shares of the vocabulary from 1/32 to all.

    `spelling` holds the bytes of each id; ids marked in `always` (special tokens, single bytes) are never dropped.
    A dropped id is respelled by the fewest kept ids, wherever it occurs; the text is not segmented again, so a
    tokenizer that searches for the best path would do better.
    """
    order = np.lexsort((np.arange(len(counts)), -counts, ~always))  # never dropped first, then by use
    sizes = sorted({max(int(len(counts) * share), int(always.sum())) for share in _FRACTIONS})
    return tuple(_point(spelling, counts, order, size) for size in sizes)


def _point(spelling: Sequence[bytes], counts: Counts, order: npt.NDArray[np.int64], size: int) -> PruningPoint:
    kept = {spelling[token] for token in order[:size].tolist()}
    longest = max(map(len, kept), default=0)
    tokens = int(counts[order[:size]].sum())
    unspellable = 0
    for token in order[size:].tolist():
        count = int(counts[token])
        if not count:
            break  # ordered by use: none of the rest occurs
        pieces = _fewest(spelling[token], kept, longest)
        tokens += count * (pieces or 1)
        unspellable += 0 if pieces else count
    return PruningPoint(kept=size, tokens=tokens, unspellable=unspellable)


def _fewest(text: bytes, kept: set[bytes], longest: int) -> int:
    """Return the smallest number of kept spellings that make up `text`; 0 if there is none."""
    if text in kept:
        return 1
    for cut in range(1, len(text)):  # most are the sum of two, which needs no search
        if text[:cut] in kept and text[cut:] in kept:
            return 2
    impossible = len(text) + 1
    best = [0] + [impossible] * len(text)
    for end in range(1, len(text) + 1):
        for start in range(max(0, end - longest), end):
            if best[start] + 1 < best[end] and text[start:end] in kept:
                best[end] = best[start] + 1
    return best[-1] if best[-1] < impossible else 0
