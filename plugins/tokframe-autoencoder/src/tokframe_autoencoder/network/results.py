"""Results of the network's batched helpers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import asdict, frozen

__all__ = ["EncodedSegments", "RoundTrip"]


@frozen(kw_only=True, eq=False)
class EncodedSegments:
    """`codes` (segments,) int64; `margins` (segments,) in bins, NaN where the quantizer knows none."""

    codes: npt.NDArray[np.int64]
    margins: npt.NDArray[np.float32]


@frozen(kw_only=True, eq=False)
class RoundTrip:
    """How well segments survive the whole network.

    `exact` (segments,) bool: decodes to exactly its bytes; `codes` and `margins` as encoded; `own_code` (segments,)
    bool: no other of these segments has its code; `leads` (segments,) the smallest lead, in nats, of a right symbol
    over the best wrong one (negative where not exact). `character_accuracy` counts bytes (the end not included),
    `perplexity` is per symbol (bytes and end); the weighted ones count every segment as often as it is used.
    """

    exact: npt.NDArray[np.bool_]
    own_code: npt.NDArray[np.bool_]
    codes: npt.NDArray[np.int64]
    margins: npt.NDArray[np.float32]
    leads: npt.NDArray[np.float32]
    exact_rate: float
    exact_rate_weighted: float
    character_accuracy: float
    character_accuracy_weighted: float
    perplexity: float
    perplexity_weighted: float
    codes_used: int
    collisions: int

    def figures(self) -> dict[str, Any]:
        """Return the plain numbers."""
        return {name: value for name, value in asdict(self, recurse=False).items() if np.isscalar(value)} | {
            "segments": len(self.exact),
            "margin_min": float(np.nanmin(self.margins)) if np.isfinite(self.margins).any() else None,
            "score_min": float(self.leads.min()),
        }
