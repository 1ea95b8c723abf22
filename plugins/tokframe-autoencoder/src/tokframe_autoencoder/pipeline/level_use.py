"""How a codebook's codes spread over the levels of each FSQ dimension."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tokframe.errors import UnsupportedError

if TYPE_CHECKING:
    from tokframe_autoencoder.tokenizer import AutoencoderTokenizer

__all__ = ["level_use"]


def level_use(tokenizer: AutoencoderTokenizer) -> dict[str, Any]:
    """Return per dimension the share of ids on each level, and its entropy over the most possible (1.0 is even).

    Keys: `codes` (ids with a code), `level_use` (list of lists), `level_entropy` (list). Empty lists for a
    quantizer without levels.
    """
    codes = tokenizer.codes()
    used: dict[str, Any] = {"codes": int((codes >= 0).sum()), "level_use": [], "level_entropy": []}
    try:
        digits = tokenizer.digits()
    except UnsupportedError:
        return used
    digits = digits[codes >= 0]
    for dimension, size in enumerate(tokenizer.levels):
        share = np.bincount(digits[:, dimension], minlength=size) / max(1, len(digits))
        present = share[share > 0]
        entropy = float(-(present * np.log2(present)).sum() / np.log2(size))
        used["level_use"].append([round(float(value), 6) for value in share])
        used["level_entropy"].append(round(entropy, 6))
    return used
