"""Spelling: what segments have in common as they are written, as far as it says how they are used."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["spelled_alike"]

_WORD = re.compile(rb"[0-9A-Za-z\x80-\xff]+")
#: Bytes to what their kind of character is shown as, one letter each.
_KINDS = bytes(
    ord("a" if 97 <= b <= 122 or b >= 128 else "A" if 65 <= b <= 90 else "0" if 48 <= b <= 57 else chr(b))
    for b in range(256)
)
_RUN = re.compile(rb"(.)\1+", re.DOTALL)


def _features(segment: bytes) -> Iterator[tuple[tuple[str, bytes], float]]:
    """Yield what a segment may share with others, and how much that says about its use."""
    shape = _RUN.sub(rb"\1", segment.translate(_KINDS))
    yield ("shape", shape), 0.5
    words = _WORD.findall(segment.lower())
    if words:
        yield ("words", b" ".join(words)), 4.0
        yield ("last", words[-1]), 2.0
        yield ("first", words[0]), 2.0
        for length in (2, 3, 4):
            yield ("end", b"%d%b" % (length, words[-1][-length:])), 0.25 * length
        yield ("begin", words[0][:4]), 0.5


def spelled_alike(
    segments: Sequence[bytes], vectors: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return for each segment the mean vector of those spelled alike, itself among them: (segments, d).

    Each thing shared counts by how much it says, less where many share it; within it segments count by `weights`
    (segments,). Zeros where nothing is shared with a segment that has a weight.
    """
    groups: dict[tuple[str, bytes], list[int]] = defaultdict(list)
    says: dict[tuple[str, bytes], float] = {}
    for number, segment in enumerate(segments):
        for feature, much in _features(segment):
            groups[feature].append(number)
            says[feature] = much
    total, shares = np.zeros_like(vectors), np.zeros(len(segments))
    for feature, group in groups.items():
        members = np.asarray(group)
        mass = weights[members]
        if len(members) > 1 and mass.sum() > 0:
            much = says[feature] / (1 + np.log(len(members)))
            total[members] += much * (mass @ vectors[members] / mass.sum())
            shares[members] += much
    mean: npt.NDArray[np.float64] = total / np.maximum(shares, 1e-12)[:, None]
    return mean
