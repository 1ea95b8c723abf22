"""What it costs to spell the text an `<unk>` hides: a small character model over bytes and an end.

Interpolated n-grams with Witten-Bell weights (Witten and Bell, 1991), down to a uniform choice of 257 symbols.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping

__all__ = ["Spelling"]

_ORDER = 3  # symbols looked back at
_END = 256
_SYMBOLS = 257


class Spelling:
    """Learns from surfaces with their counts; gives the bits of any byte string, its end included."""

    def __init__(self, surfaces: Mapping[bytes, int]) -> None:
        self.surfaces = dict(surfaces)
        self._counts: defaultdict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
        for surface, count in surfaces.items():
            for context, symbol in _steps(surface):
                for length in range(len(context) + 1):
                    self._counts[context[len(context) - length :]][symbol] += count
        self._totals = {context: sum(counts.values()) for context, counts in self._counts.items()}

    def bits(self, surface: bytes) -> float:
        """Return -log2 of the probability of the bytes and the end after them."""
        return -sum(math.log2(self._probability(context, symbol)) for context, symbol in _steps(surface))

    def _probability(self, context: tuple[int, ...], symbol: int) -> float:
        probability = 1 / _SYMBOLS
        for length in range(len(context) + 1):
            part = context[len(context) - length :]
            counts = self._counts.get(part)
            if counts is None:
                break
            kinds = len(counts)
            probability = (counts[symbol] + kinds * probability) / (self._totals[part] + kinds)
        return probability


def _steps(surface: bytes) -> list[tuple[tuple[int, ...], int]]:
    """Return each symbol of a surface and its end with the symbols before it."""
    symbols = [*surface, _END]
    return [(tuple(symbols[max(0, place - _ORDER) : place]), symbol) for place, symbol in enumerate(symbols)]
