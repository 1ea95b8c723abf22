"""SpellingIndex: how alike segments are spelled, by the n-grams they share. Knows nothing of use."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["SpellingIndex"]

IntArray = npt.NDArray[np.int64]

#: n-grams of one to three bytes, a mark at each end counted as a byte of those of two and three.
_LONGEST = 3
_MARK = 256
_SYMBOLS = 512  # bytes and the mark, in whole bits
_FOLDED = np.arange(_SYMBOLS)
_FOLDED[65:91] += 32
#: How often one n-gram counts within a segment at most.
_MOST_ALIKE = 256
_GRAM_BITS = 9 * _LONGEST + 3  # its symbols, its size and its form
_OWNER_BITS = 25


class SpellingIndex:
    """Segments by their n-grams: for any segment, how alike all others are to it, 0 to 1.

    That is the share of n-grams of 1 to 3 bytes that two segments have in common (Dice, 1945): twice the number shared
    over the number of both. Beginning and end count as a byte, and all is counted twice, as it is and in small letters,
    so that "The" is nearer to "the" than "She" is.
    """

    def __init__(self, segments: Sequence[bytes]) -> None:
        owners, features = _features(segments)
        self._sizes = np.bincount(owners, minlength=len(segments))
        both = np.sort((features << _OWNER_BITS) | owners)  # several times as fast as sorting one by the other
        self._owners = (both & ((1 << _OWNER_BITS) - 1)).astype(np.int32)
        features = both >> _OWNER_BITS
        self._starts = np.append(np.flatnonzero(np.diff(features, prepend=-1)), len(features))
        self._features = features[self._starts[:-1]]

    def similarities(self, segment: bytes) -> npt.NDArray[np.float64]:
        """Return how alike each segment is spelled to `segment`: (segments,), 1 for the same bytes."""
        _, features = _features([segment])
        places = np.searchsorted(self._features, features)
        places = places[self._features[np.minimum(places, len(self._features) - 1)] == features]
        lists = [self._owners[self._starts[place] : self._starts[place + 1]] for place in places.tolist()]
        shared = np.bincount(np.concatenate(lists), minlength=len(self._sizes)) if lists else np.zeros(len(self._sizes))
        alike: npt.NDArray[np.float64] = 2 * shared / np.maximum(self._sizes + len(features), 1)
        return alike


def _features(segments: Sequence[bytes]) -> tuple[IntArray, IntArray]:
    """Return segment number and feature for each n-gram of each: (n-grams,) each, no pair twice.

    A feature is an n-gram, its form, and the how many-th alike in its segment it is.
    """
    lengths = np.fromiter(map(len, segments), np.int64, len(segments))
    kept = np.flatnonzero(lengths)
    marked = lengths[kept] + 2
    ends = np.cumsum(marked)
    symbols = np.full(int(ends[-1]) if len(ends) else 0, _MARK, np.int64)
    inside = np.ones(len(symbols), bool)
    inside[ends - marked] = inside[ends - 1] = False
    symbols[inside] = np.frombuffer(b"".join(segments), np.uint8)
    owner = np.repeat(kept, marked)
    found_owners, found_grams = [], []
    for form, row in enumerate((symbols, _FOLDED[symbols])):
        for size in range(1, _LONGEST + 1):
            count = max(0, len(row) - size + 1)
            whole = owner[:count] == owner[size - 1 :]
            if size == 1:
                whole = inside
            gram = np.zeros(count, np.int64)
            for offset in range(size):
                gram = gram * _SYMBOLS + row[offset : offset + count]
            found_owners.append(owner[:count][whole])
            found_grams.append((gram[whole] * (_LONGEST + 1) + size) * 2 + form)
    both = np.sort((np.concatenate(found_owners) << _GRAM_BITS) | np.concatenate(found_grams))
    first = np.maximum.accumulate(np.where(np.diff(both, prepend=-1) != 0, np.arange(len(both)), 0))
    alike = np.arange(len(both)) - first
    both, alike = both[alike < _MOST_ALIKE], alike[alike < _MOST_ALIKE]
    return both >> _GRAM_BITS, (both & ((1 << _GRAM_BITS) - 1)) * _MOST_ALIKE + alike
