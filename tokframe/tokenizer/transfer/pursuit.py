"""Pursuit: ids as few of the ids that another tokenizer has too, by orthogonal matching pursuit in a space of ids.

The space is the tokenizer's own vectors where it has any (`embed`), else spelling: n-grams, hashed.
"""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tokframe.errors import UnsupportedError
from tokframe.tokenizer.base import ITokenizer
from tokframe.tokenizer.transfer.neighbors import grams

__all__ = ["pursued", "pursuit"]

_ATOMS = 4096  # of the common ids, those with the lowest numbers; more cost time and change little
_PARTS = 6  # common ids in the combination of one
_SPELLING = 512  # dimensions of n-grams, hashed
_CHUNK = 1024  # targets solved at a time, which bounds memory

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]


def pursued(tokenizer: ITokenizer, common: Numbers, wanted: Numbers) -> tuple[Numbers, npt.NDArray[np.float64]]:
    """Return for each `wanted` id the places in `common` (ids, parts) of what is like it, and its shares of them."""
    ids = [*common[:_ATOMS].tolist(), *wanted.tolist()]
    try:
        both = np.asarray(tokenizer.embed(ids), np.float32)  # type: ignore[attr-defined]
    except (AttributeError, UnsupportedError):  # the tokenizer has no vectors
        both = _spelled([tokenizer.token_bytes(token) for token in ids])
    return pursuit(both[: len(common[:_ATOMS])], both[len(common[:_ATOMS]) :])


def pursuit(atoms: Floats, targets: Floats, parts: int = _PARTS) -> tuple[Numbers, npt.NDArray[np.float64]]:
    """Return `parts` atoms (atoms, d) and their factors for each target (targets, d), by least squares.

    In each round the atom that explains most of what is left is added and all factors are solved for anew (Pati,
    Rezaiifar and Krishnaprasad, 1993). A target of zeros has factors of zero.
    """
    unit = atoms / np.maximum(np.linalg.norm(atoms, axis=1, keepdims=True), 1e-12)
    parts = min(parts, len(atoms))
    places = np.zeros((len(targets), parts), np.int64)
    factors = np.zeros((len(targets), parts))
    for start in range(0, len(targets), _CHUNK):
        wanted = targets[start : start + _CHUNK]
        rows = np.arange(len(wanted))
        chosen = places[start : start + _CHUNK]
        left = wanted
        for number in range(parts):
            match = np.abs(left @ unit.T)
            match[rows[:, None], chosen[:, :number]] = -1  # each atom once
            chosen[:, number] = match.argmax(1)
            found = unit[chosen[:, : number + 1]].astype(np.float64)
            gram = found @ found.transpose(0, 2, 1) + 1e-6 * np.eye(number + 1)
            solved = np.linalg.solve(gram, np.einsum("npd,nd->np", found, wanted)[..., None])[..., 0]
            left = (wanted - np.einsum("np,npd->nd", solved, found)).astype(np.float32)
        factors[start : start + _CHUNK] = solved / np.maximum(np.linalg.norm(atoms[chosen], axis=2), 1e-12)
    return places, factors


def _spelled(texts: Sequence[bytes]) -> Floats:
    """Return a vector of each text (texts, d): its n-grams, rare ones more, each at a place and with a sign by hash."""
    sets = [[zlib.crc32(gram) for gram in grams(text)] for text in texts]
    known = Counter(gram for found in sets for gram in found)
    made = np.zeros((len(texts), _SPELLING), np.float32)
    for row, found in enumerate(sets):
        for gram in found:
            made[row, gram % _SPELLING] += math.log(1 + len(sets) / known[gram]) * (1 if gram & 1 << 31 else -1)
    return made
