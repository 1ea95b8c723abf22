"""Plan: the codes that training starts from, by a segment's spelling or its use, and free codes for collisions.

Codes that are orderly in the decoder's output are learned many times faster than arbitrary ones, and codes
that are orderly in what the encoder sees are learned by it too. "front-length-back" orders the segments three ways
and cuts each order into bins of equal size: by the bytes from the front, by length, by the bytes from the back.
"use" keeps the first digits for clusters of use vectors, and plans the others so.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tokframe_autoencoder.vectors.clusters import cluster_digits

__all__ = ["CLASS_DIGITS", "assign_free_codes", "by_use", "front_length_back", "use_classes", "use_dimensions"]

Digits = npt.NDArray[np.int64]

#: Segments of the smallest clusters, on average: fewer have too little in common to need a digit for it.
_CLUSTER_SEGMENTS = 32
#: How many of the first digits say the class, and the classes of a quantizer without digits.
CLASS_DIGITS = 2
_CLASS_SHAPE = (8, 8)


def front_length_back(segments: Sequence[bytes], levels: Sequence[int]) -> Digits:
    """Return planned digits, (segments, dims); segments may still share a code.

    About three fifths of the code's bits say where the segment stands in the dictionary, one dimension its length,
    the rest where it stands in the dictionary of reversed segments. Ranks are written as reflected Gray numbers, so
    that neighbors in the dictionary differ by one step in one digit: a continuous curve is easier to learn.
    """
    dims = len(levels)
    digits = np.zeros((len(segments), dims), np.int64)
    front, length, back = _shares(levels)
    orders: list[tuple[list[int], Callable[[bytes], Any]]] = [
        (front, lambda segment: segment),
        (length, lambda segment: (len(segment), segment)),
        (back, lambda segment: segment[::-1]),
    ]
    for chosen, key in orders:
        if chosen:
            sizes = [levels[i] for i in chosen]
            ranks = _ranks(segments, key, math.prod(sizes))
            digits[:, chosen] = _gray(ranks, sizes)
    return digits


def use_dimensions(segments: int, levels: Sequence[int]) -> int:
    """Return how many of the first digits say a segment's use: 8 x 8 x 8 clusters for 32,768 segments; 0 for few."""
    count = 0
    while count < len(levels) - 1 and math.prod(levels[: count + 1]) * _CLUSTER_SEGMENTS <= segments:
        count += 1
    return count


def by_use(
    segments: Sequence[bytes],
    vectors: npt.NDArray[np.floating[Any]],
    weights: npt.NDArray[np.float64],
    levels: Sequence[int],
) -> Digits:
    """Return planned digits, (segments, dims), no two alike: the first say the cluster, the others the spelling.

    `vectors` (segments, d) are use vectors, `weights` (segments,) how often each is used. The others are those of
    `front_length_back` over all segments; within a cluster those alike move to what is free. Only where there are more
    segments than codes do some share one.
    """
    count = use_dimensions(len(segments), levels)
    spelled = front_length_back(segments, levels[count:])
    clusters = cluster_digits(vectors, np.sqrt(weights), levels[:count], math.prod(levels[count:]))
    digits = np.concatenate([clusters, spelled], axis=1)
    basis = np.array([math.prod(levels[:i]) for i in range(count)], np.int64)
    for cluster in np.unique(clusters @ basis):
        members = np.flatnonzero(clusters @ basis == cluster)
        digits[members, count:] = _apart(spelled[members], levels[count:])
    return digits


def use_classes(
    vectors: npt.NDArray[np.floating[Any]], weights: npt.NDArray[np.float64], levels: Sequence[int]
) -> npt.NDArray[np.int64]:
    """Return the class of each segment, (segments,): the first two digits that `by_use` plans, as one number.

    Neighboring classes are alike. Where `levels` is empty or plans no digit by use, there are 64 of them. Others as
    `by_use`.
    """
    count = min(CLASS_DIGITS, use_dimensions(len(vectors), levels))
    shape, room = (levels[:count], math.prod(levels[count:])) if count else (_CLASS_SHAPE, len(vectors))
    digits = cluster_digits(vectors, np.sqrt(weights), shape, room)
    classes: npt.NDArray[np.int64] = np.ravel_multi_index(tuple(digits.T), tuple(shape))
    return classes


def assign_free_codes(
    digits: Digits, bins: npt.NDArray[np.floating[Any]], levels: Sequence[int], held: int = 0
) -> tuple[Digits, int]:
    """Move segments that share a code to the nearest free one; return new digits and how many were moved.

    `digits` (segments, dims), `bins` the bin coordinates (segments, dims) from which distances are measured. Of
    those on one code the one nearest to its center stays. Up to three digits change, by one or two steps, but never the
    first `held`; a segment with no free code there stays where it is.
    """
    sizes = np.asarray(levels)
    basis = np.array([math.prod(levels[:i]) for i in range(len(levels))], np.int64)
    digits = digits.copy()
    distance = ((bins - digits - 0.5) ** 2).sum(1)
    codes = digits @ basis
    used: set[int] = set()
    colliding = []
    for i in np.argsort(distance, kind="stable"):
        if int(codes[i]) in used:
            colliding.append(int(i))
        used.add(int(codes[i]))
    moved = 0
    moves = np.zeros((0, len(levels)), np.int64)
    if colliding:
        moves = np.pad(_moves(len(levels) - held), ((0, 0), (held, 0)))
    for i in colliding:
        near = digits[i] + moves
        near = near[((near >= 0) & (near < sizes)).all(1)]
        order = np.argsort(((bins[i] - near - 0.5) ** 2).sum(1), kind="stable")
        for k, code in zip(order, (near @ basis)[order], strict=True):
            if int(code) not in used:
                used.add(int(code))
                digits[i] = near[k]
                moved += 1
                break
    return digits, moved


def _apart(digits: Digits, levels: Sequence[int]) -> Digits:
    """Return digits moved to free codes nearby, or where all of those are taken, to the next free one."""
    digits, _ = assign_free_codes(digits, digits + 0.5, levels)
    basis = np.array([math.prod(levels[:i]) for i in range(len(levels))], np.int64)
    size, codes = math.prod(levels), digits @ basis
    _, first = np.unique(codes, return_index=True)
    used = set(codes.tolist())
    for i in np.setdiff1d(np.arange(len(codes)), first).tolist() if len(codes) <= size else ():
        code = int(codes[i])
        while code in used:
            code = (code + 1) % size
        used.add(code)
        digits[i] = code // basis % np.asarray(levels)
    return digits


def _shares(levels: Sequence[int]) -> tuple[list[int], list[int], list[int]]:
    """Return the dimensions for front, length and back, most significant first."""
    dims = list(range(len(levels)))[::-1]
    if len(dims) < 3:
        return dims, [], []
    bits = [math.log2(levels[i]) for i in dims]
    count = next(k for k in range(1, len(dims)) if sum(bits[:k]) >= 0.55 * sum(bits))
    count = min(count, len(dims) - 2)
    return dims[:count], dims[count : count + 1], dims[count + 1 :]


def _ranks(segments: Sequence[bytes], key: Callable[[bytes], Any], bins: int) -> npt.NDArray[np.int64]:
    """Cut an order into `bins` bins of equal size; return each segment's bin."""
    order = sorted(range(len(segments)), key=lambda i: key(segments[i]))
    ranks = np.empty(len(segments), np.int64)
    ranks[order] = np.arange(len(segments), dtype=np.int64) * bins // max(1, len(segments))
    return ranks


def _gray(ranks: npt.NDArray[np.int64], sizes: Sequence[int]) -> Digits:
    """Write ranks as reflected mixed-radix Gray numbers, most significant digit first: (n, len(sizes))."""
    plain = []
    for size in reversed(sizes):
        plain.append(ranks % size)
        ranks = ranks // size
    columns = []
    above = np.zeros_like(ranks)
    for size, digit in zip(sizes, reversed(plain), strict=True):
        columns.append(np.where(above % 2 == 1, size - 1 - digit, digit))
        above = above * size + digit
    return np.stack(columns, axis=1)


def _moves(dims: int) -> npt.NDArray[np.int64]:
    """Return small changes of up to three digits: (moves, dims)."""
    rows = []
    for count, steps in ((1, (-2, -1, 1, 2)), (2, (-2, -1, 1, 2)), (3, (-1, 1))):
        for chosen in itertools.combinations(range(dims), count):
            for step in itertools.product(steps, repeat=count):
                row = [0] * dims
                for i, by in zip(chosen, step, strict=True):
                    row[i] = by
                rows.append(row)
    return np.array(rows, np.int64)
