"""Neighbors: the most similar of many known byte strings to a new one, by shared n-grams."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

__all__ = ["Neighbors", "grams"]

_MIN_BYTES, _MAX_BYTES = 2, 5  # of an n-gram, boundary marks included
_MAX_MEMBERS = 4096  # n-grams shared by more strings are skipped: they cost time and carry little information


class Neighbors:
    """Cosine similarity of n-gram sets, rare n-grams weighing more (inverse document frequency).

    FOCUS (Dobler and de Melo, 2023) finds neighbors by fastText vectors, which are sums over n-grams too; without a
    text to train those on, the n-grams themselves are compared.
    """

    def __init__(self, known: Sequence[bytes]) -> None:
        where: defaultdict[bytes, list[int]] = defaultdict(list)
        for place, text in enumerate(known):
            for gram in grams(text):
                where[gram].append(place)
        self._where, self._weight = {}, {}
        norm = np.zeros(len(known))
        for gram, members in where.items():
            found = np.array(members, np.int64)
            weight = math.log(1 + len(known) / len(found)) ** 2
            norm[found] += weight
            if len(found) <= _MAX_MEMBERS:
                self._where[gram], self._weight[gram] = found, weight
        self._norm = np.sqrt(np.maximum(norm, 1e-30))

    def nearest(self, text: bytes, count: int = 10) -> list[tuple[int, float]]:
        """Return `(index, share)` of up to `count` known strings most similar to `text`; shares add up to 1.

        Shares are proportional to the square of the similarity. Empty where nothing is shared.
        """
        shared = [gram for gram in grams(text) if gram in self._where]
        if not shared:
            return []
        members = [self._where[gram] for gram in shared]
        weights = np.repeat([self._weight[gram] for gram in shared], [len(found) for found in members])
        score = np.bincount(np.concatenate(members), weights, len(self._norm)) / self._norm
        best = np.argsort(-score, kind="stable")[:count]
        best = best[score[best] > 0]
        total = float((score[best] ** 2).sum())
        return [(int(place), float(score[place] ** 2) / total) for place in best]


def grams(text: bytes) -> Iterable[bytes]:
    """Return the distinct n-grams of a string with a boundary mark at each end, in order."""
    marked = b"\x02" + text + b"\x03"
    return dict.fromkeys(
        marked[start : start + size]
        for size in range(_MIN_BYTES, _MAX_BYTES + 1)
        for start in range(len(marked) - size + 1)
    )
