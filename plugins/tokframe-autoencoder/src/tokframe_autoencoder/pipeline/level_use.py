"""How a codebook's codes spread over the levels of each FSQ dimension."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["level_use"]


def level_use(codes: npt.NDArray[np.int64], levels: Sequence[int]) -> dict[str, Any]:
    """Return per dimension the share of ids on each level, and its entropy over the most possible (1.0 is even).

    `codes` (ids,), below 0 where an id has none; `levels` is empty for a quantizer without any. Keys: `codes` (ids with
    a code), `level_use` (list of lists), `level_entropy` (list).
    """
    left = codes[codes >= 0]
    used: dict[str, Any] = {"codes": len(left), "level_use": [], "level_entropy": []}
    for size in levels:
        share = np.bincount(left % size, minlength=size) / max(1, len(left))
        left = left // size
        present = share[share > 0]
        entropy = float(-(present * np.log2(present)).sum() / np.log2(size))
        used["level_use"].append([round(float(value), 6) for value in share])
        used["level_entropy"].append(round(entropy, 6))
    return used
