"""Byte strings that look alike: the nearest of many known ones to one that is not known, by shared n-grams."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

__all__ = ["Neighbours"]

_SHORTEST, _LONGEST = 2, 5  # bytes of an n-gram, the marks at both ends counted
_COMMON = 4096  # an n-gram that more strings share tells little and costs much: it is not looked up


class Neighbours:
    """Cosine similarity of n-gram sets, rare n-grams weighing more (inverse document frequency).

    FOCUS (Dobler and de Melo, 2023) finds neighbours by fastText vectors, which are sums over n-grams too; without a
    text to train them on, the n-grams are compared themselves.
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
        """Return `(place, share)` of up to `count` known strings most like `text`; shares add up to 1.

        A share goes with the square of the similarity. Empty where nothing is shared.
        """
        overlap: Counter[int] = Counter()
        for gram in _grams(text):
            found = self._where.get(gram, ())
            if len(found) <= _COMMON:
                weight = self._weight.get(gram, 0.0)
                for place in found:
                    overlap[place] += weight  # type: ignore[assignment]  # Counter's values are typed as int
        scored = ((place, value / self._norm[place]) for place, value in overlap.items())
        best = sorted(scored, key=lambda pair: (-pair[1], pair[0]))[:count]
        total = sum(score**2 for _, score in best)
        return [(place, score**2 / total) for place, score in best]


def _grams(text: bytes) -> Iterable[bytes]:
    """Return the n-grams of a string with a mark at each end, each once, in order of their place."""
    marked = b"\x02" + text + b"\x03"
    return dict.fromkeys(
        marked[start : start + size]
        for size in range(_SHORTEST, _LONGEST + 1)
        for start in range(len(marked) - size + 1)
    )
