"""Clusters: vectors in parts of bounded size, and those in parts again, one digit for each division."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["cluster_digits"]

Floats = npt.NDArray[np.floating]

#: How much more than an even share a part may hold.
_UNEVENNESS = 2.0
_ROUNDS = 20


def cluster_digits(vectors: Floats, weights: Floats, shape: Sequence[int], room: int) -> npt.NDArray[np.int64]:
    """Divide into `shape[0]` clusters, each of these into `shape[1]`, and so on; return digits (vectors, len(shape)).

    Parts next to each other in number are alike. None holds more than twice its share, and the last ones at most `room`
    vectors, where that is enough for all. `weights` (vectors,) is how much each matters for where a cluster lies.
    """
    digits = np.zeros((len(vectors), len(shape)), np.int64)
    groups = [np.arange(len(vectors))]
    for level, parts in enumerate(shape):
        below = room * int(np.prod(shape[level + 1 :], dtype=np.int64))
        divided = []
        for group in groups:
            most = max(min(below, int(_UNEVENNESS * len(group) / parts)), -(-len(group) // parts))
            part = _divided(vectors[group], weights[group], parts, most)
            digits[group, level] = part
            divided += [group[part == number] for number in range(parts)]
        groups = [group for group in divided if len(group)]
    return digits


def _divided(vectors: Floats, weights: Floats, parts: int, most: int) -> npt.NDArray[np.int64]:
    """Return the part of each vector, by k-means; what is too much for one part (`most`) goes where it fits next."""
    if len(vectors) <= parts:
        return _places(vectors)
    centers = _spread(vectors, weights, parts)
    for _ in range(_ROUNDS):
        nearest = _affinity(vectors, centers).argmax(1)
        moved = np.stack([_mean(vectors[nearest == n], weights[nearest == n], centers[n]) for n in range(parts)])
        if np.array_equal(moved, centers):
            break
        centers = moved
    centers = centers[np.argsort(_places(centers))]
    return _bounded(_affinity(vectors, centers), most)


def _spread(vectors: Floats, weights: Floats, parts: int) -> Floats:
    """Return vectors to begin with, each far from those before it: (parts, d)."""
    chosen = [int(np.argmax(weights))]
    apart = np.full(len(vectors), np.inf)
    for _ in range(parts - 1):
        apart = np.minimum(apart, np.square(vectors - vectors[chosen[-1]]).sum(1))
        chosen.append(int(np.argmax(apart * weights)))
    return vectors[chosen]


def _mean(vectors: Floats, weights: Floats, otherwise: Floats) -> Floats:
    return weights @ vectors / weights.sum() if len(vectors) else otherwise


def _affinity(vectors: Floats, centers: Floats) -> Floats:
    """Return how near each vector is to each center, half its squared length left out: (vectors, centers)."""
    nearness: Floats = vectors @ centers.T - np.square(centers).sum(1) / 2
    return nearness


def _places(vectors: Floats) -> npt.NDArray[np.int64]:
    """Return the place of each vector along the direction in which they differ most, its largest entry positive."""
    _, _, directions = np.linalg.svd(vectors - vectors.mean(0), full_matrices=False)
    direction = directions[0] * (1 if directions[0][np.abs(directions[0]).argmax()] > 0 else -1)
    places = np.empty(len(vectors), np.int64)
    places[np.argsort(vectors @ direction, kind="stable")] = np.arange(len(vectors))
    return places


def _bounded(affinity: Floats, most: int) -> npt.NDArray[np.int64]:
    """Give each row the part it is nearest to, of those that keep it: a full part keeps the `most` nearest."""
    wishes = np.argsort(-affinity, axis=1, kind="stable")
    wish = np.zeros(len(affinity), np.int64)
    rows = np.arange(len(affinity))
    while True:
        part: npt.NDArray[np.int64] = wishes[rows, wish]
        full = np.flatnonzero(np.bincount(part, minlength=affinity.shape[1]) > most)
        if not len(full):
            return part
        for number in full:
            members = np.flatnonzero(part == number)
            wish[members[np.argsort(-affinity[members, number], kind="stable")[most:]]] += 1
