"""One fixed judge of text for models of any tokenizer: byte n-grams up to eight bytes, interpolated Kneser-Ney.

It learns in seconds per ten megabytes, knows nothing of tokens, and tells how ordinary a text is; not how good.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["ORDER", "Scorer"]

#: Bytes of an n-gram, the judged one included: eight fill the 64 bits of a key.
ORDER = 8

_Keys = npt.NDArray[np.uint64]
_Numbers = npt.NDArray[np.float64]
_BEFORE = b"\n" * (ORDER - 1)  # what stands before a text


class Scorer:
    """Byte n-grams with one discount per order (Ney, Essen and Kneser, 1994), down to a uniform choice of 256.

    The longest n-grams are counted; shorter ones count the different bytes that stand before them (Kneser and Ney,
    1995). An n-gram is its bytes as one number, the last byte lowest, so each order is a sorted array.
    """

    def __init__(self, texts: Iterable[bytes]) -> None:
        keys, counts = _counted([_grams(text) for text in texts])
        self._orders: list[_Order] = []
        for length in range(ORDER, 0, -1):
            self._orders.append(_Order(keys, counts))
            if length > 1:
                mask = np.uint64((1 << 8 * (length - 1)) - 1)
                keys, counts = np.unique(keys & mask, return_counts=True)
        self._orders.reverse()

    def bits(self, text: bytes, before: bytes = b"") -> _Numbers:
        """Return -log2 p of each byte of a text (bytes,), `before` being what it goes on from."""
        keys = _grams(before + text)[len(before) :]
        probability = np.full(len(keys), 1 / 256)
        for length, order in enumerate(self._orders, 1):
            mask = np.uint64((1 << 8 * length) - 1)
            probability = order.probability(keys & mask, probability)
        bits: _Numbers = -np.log2(probability)
        return bits

    def bits_per_byte(self, text: bytes, before: bytes = b"") -> float:
        """Return the mean of `bits`; 0 for no text."""
        return float(self.bits(text, before).mean()) if text else 0.0


class _Order:
    """All n-grams of one length: their counts, and of each context the sum and the number of different bytes."""

    def __init__(self, keys: _Keys, counts: npt.NDArray[np.int64]) -> None:
        self.keys, self.counts = keys, counts
        self.contexts, first = np.unique(keys >> np.uint64(8), return_index=True)
        self.sums = np.add.reduceat(counts, first)
        self.kinds = np.diff(np.append(first, len(keys)))
        once, twice = int((counts == 1).sum()), int((counts == 2).sum())
        # the estimate of Ney, Essen and Kneser; at least a little, so that no byte is impossible
        self.discount = min(max(once / max(1, once + 2 * twice), 0.1), 0.95)

    def probability(self, keys: _Keys, shorter: _Numbers) -> _Numbers:
        """Return p of the last byte of each n-gram, given p of it under the context one byte shorter."""
        counts = _found(self.keys, self.counts, keys)
        contexts = keys >> np.uint64(8)
        sums, kinds = (_found(self.contexts, values, contexts) for values in (self.sums, self.kinds))
        known = sums > 0
        mixed = np.maximum(counts - self.discount, 0) + self.discount * kinds * shorter
        return np.where(known, mixed / np.maximum(sums, 1), shorter)


def _grams(text: bytes) -> _Keys:
    """Return the n-gram that ends with each byte (bytes,)."""
    data = np.frombuffer(_BEFORE + text, np.uint8)
    keys = np.zeros(len(text), np.uint64)
    for place in range(ORDER):
        keys = (keys << np.uint64(8)) | data[place : place + len(text)]
    return keys


def _counted(parts: list[_Keys]) -> tuple[_Keys, npt.NDArray[np.int64]]:
    """Return the different keys in order and how often each comes. Raises: ValueError if there are none."""
    keys = np.concatenate(parts) if parts else np.zeros(0, np.uint64)
    if not len(keys):
        raise ValueError("no text to learn from")
    keys.sort()
    found: Any = np.unique(keys, return_counts=True)
    return found[0], found[1]


def _found(keys: _Keys, values: npt.NDArray[Any], wanted: _Keys) -> _Numbers:
    """Return the value of each wanted key, 0 where there is none."""
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    found: _Numbers = np.where(keys[places] == wanted, values[places], 0).astype(np.float64)
    return found
