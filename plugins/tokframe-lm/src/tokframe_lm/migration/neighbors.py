"""Neighbors: the most similar of many known byte strings to a new one, by shared n-grams."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

__all__ = ["Neighbors"]

_MIN_BYTES, _MAX_BYTES = 2, 5  # of an n-gram, boundary marks included
_MAX_MEMBERS = 4096  # n-grams shared by more strings are skipped: they cost time and carry little information


class Neighbors:
    """Cosine similarity of n-gram sets, rare n-grams weighing more (inverse document frequency).

    FOCUS (Dobler and de Melo, 2023) finds neighbors by fastText vectors, which are sums over n-grams too; without a
    text to train those on, the n-grams themselves are compared.
    """

    def __init__(self, known: Sequence[bytes]) -> None:
        self._where: defaultdict[bytes, list[int]] = defaultdict(list)
        sets = [_grams(text) for text in known]
        for place, grams in enumerate(sets):
            for gram in grams:
                self._where[gram].append(place)
        self._weight = {gram: math.log(1 + len(sets) / len(found)) ** 2 for gram, found in self._where.items()}
        self._norm = [math.sqrt(sum(self._weight[gram] for gram in grams)) for grams in sets]

    def nearest(self, text: bytes, count: int = 10) -> list[tuple[int, float]]:
        """Return `(index, share)` of up to `count` known strings most similar to `text`; shares add up to 1.

        Shares are proportional to the square of the similarity. Empty where nothing is shared.
        """
        overlap: Counter[int] = Counter()
        for gram in _grams(text):
            found = self._where.get(gram, ())
            if len(found) <= _MAX_MEMBERS:
                weight = self._weight.get(gram, 0.0)
                for place in found:
                    overlap[place] += weight  # type: ignore[assignment]  # Counter's values are typed as int
        scored = ((place, value / self._norm[place]) for place, value in overlap.items())
        best = sorted(scored, key=lambda pair: (-pair[1], pair[0]))[:count]
        total = sum(score**2 for _, score in best)
        return [(place, score**2 / total) for place, score in best]


def _grams(text: bytes) -> Iterable[bytes]:
    """Return the distinct n-grams of a string with a boundary mark at each end, in order."""
    marked = b"\x02" + text + b"\x03"
    return dict.fromkeys(
        marked[start : start + size]
        for size in range(_MIN_BYTES, _MAX_BYTES + 1)
        for start in range(len(marked) - size + 1)
    )
