"""ByteNgrams: an interpolated Kneser-Ney model of bytes, which scores text without knowing any tokenizer.

Judges what models write (8-grams), and charges for the text behind <unk> (4-grams with an end symbol).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["ByteNgrams"]

_Keys = npt.NDArray[np.uint64]
_Numbers = npt.NDArray[np.float64]
_END = 256


class ByteNgrams:
    """Byte n-grams with one discount per order (Ney, Essen and Kneser, 1994), down to a uniform distribution.

    Counts are of `order`-grams; shorter ones count the distinct symbols before them (Kneser and Ney, 1995). With `ends`
    the end of a text is a symbol too. An n-gram is its symbols as one number, the last one lowest, so that each order
    is a sorted array; `order` is at most 8, with `ends` 7. Without text every symbol is equally likely.
    """

    def __init__(self, texts: Iterable[tuple[bytes, int]], *, order: int, ends: bool = False) -> None:
        self.order, self.ends = order, ends
        self._width = 9 if ends else 8  # bits of a symbol
        keys = np.concatenate([np.zeros(0, np.uint64), *(np.repeat(self._grams(text), n) for text, n in texts)])
        keys.sort()
        unique: Any = np.unique(keys, return_counts=True)
        self._orders: list[_Order] = []
        for length in range(order if len(keys) else 0, 0, -1):
            self._orders.insert(0, _Order(unique[0], unique[1], self._width))
            unique = np.unique(unique[0] & self._mask(length - 1), return_counts=True)

    def bits(self, text: bytes, before: bytes = b"") -> _Numbers:
        """Return -log2 p of each byte of a text after `before`, then of its end if ends count: (symbols,)."""
        keys = self._grams(before + text)[len(before) :]
        probability = np.full(len(keys), 1 / (257 if self.ends else 256))
        for length, order in enumerate(self._orders, 1):
            probability = order.probability(keys & self._mask(length), probability)
        bits: _Numbers = -np.log2(probability)
        return bits

    def bits_per_byte(self, text: bytes, before: bytes = b"") -> float:
        """Return the sum of `bits` by byte of text; 0 for no text."""
        return float(self.bits(text, before).sum()) / len(text) if text else 0.0

    def _mask(self, length: int) -> np.uint64:
        return np.uint64((1 << self._width * length) - 1)

    def _grams(self, text: bytes) -> _Keys:
        """Return the n-gram that ends with each symbol of a text; before it stand ends, or line breaks."""
        border = np.full(self.order - 1, _END if self.ends else ord("\n"), np.uint64)
        data = np.concatenate([border, np.frombuffer(text, np.uint8), [_END] * self.ends]).astype(np.uint64)
        keys = np.zeros(len(data) - self.order + 1, np.uint64)
        for place in range(self.order):
            keys = (keys << np.uint64(self._width)) | data[place : place + len(keys)]
        return keys


class _Order:
    """All n-grams of one length: their counts, and the sum and number of distinct symbols of each context."""

    def __init__(self, keys: _Keys, counts: npt.NDArray[np.int64], width: int) -> None:
        self.keys, self.counts, self.width = keys, counts, np.uint64(width)
        self.contexts, first = np.unique(keys >> self.width, return_index=True)
        self.sums = np.add.reduceat(counts, first)
        self.kinds = np.diff(np.append(first, len(keys)))
        once, twice = int((counts == 1).sum()), int((counts == 2).sum())
        # the estimate of Ney, Essen and Kneser, bounded so that every symbol is possible
        self.discount = min(max(once / max(1, once + 2 * twice), 0.1), 0.95)

    def probability(self, keys: _Keys, shorter: _Numbers) -> _Numbers:
        """Return p of the last symbol of each n-gram, given p of it under the context one symbol shorter."""
        counts = _values(self.keys, self.counts, keys)
        sums, kinds = (_values(self.contexts, of, keys >> self.width) for of in (self.sums, self.kinds))
        mixed = np.maximum(counts - self.discount, 0) + self.discount * kinds * shorter
        return np.where(sums > 0, mixed / np.maximum(sums, 1), shorter)


def _values(keys: _Keys, values: npt.NDArray[Any], wanted: _Keys) -> _Numbers:
    """Return the value of each wanted key, 0 where there is none."""
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    found: _Numbers = np.where(keys[places] == wanted, values[places], 0).astype(np.float64)
    return found
