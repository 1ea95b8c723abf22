"""Results: what training returns, and the rule that decides which segments may have an id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from tokframe_autoencoder.network.results import RoundTrip

if TYPE_CHECKING:
    from tokframe_autoencoder.network.autoencoder import Autoencoder
    from tokframe_autoencoder.training.config import TrainingConfig

__all__ = ["StageReport", "TrainedNetwork", "code_owners", "eligible"]

#: Lead in nats over the best wrong symbol that a segment with an id has at least.
MIN_LEAD = 0.1


@frozen(kw_only=True, eq=False)
class TrainedNetwork:
    """A trained network, in evaluation mode on the CPU, and how it stands.

    `roundtrip` is measured in fp32 through the whole network; `eligible` (segments,) bool: which segments may have an
    id; `steps` and `minutes` over all sessions; `history` one record of figures per evaluation; `use` how near the
    vectors of all segments come to those taught, where any were.
    """

    network: Autoencoder
    roundtrip: RoundTrip
    eligible: npt.NDArray[np.bool_]
    steps: int
    minutes: float
    finished: str
    history: tuple[Mapping[str, Any], ...]
    use: Mapping[str, float | int] = field(factory=dict)


@frozen(kw_only=True, eq=False)
class StageReport:
    """An evaluation: is the stage's aim `reached`, and the figures."""

    reached: bool
    figures: dict[str, float | int]


def eligible(trip: RoundTrip, weights: npt.NDArray[np.float64], config: TrainingConfig) -> npt.NDArray[np.bool_]:
    """Return which segments may have an id, (segments,) bool: the one place where this is decided.

    A segment is eligible if it decodes exactly, owns its code, and has the margins asked for: of its digits where the
    quantizer knows any, and of every symbol over the best wrong one.
    """
    near_border = trip.margins < config.margin  # False for NaN: no margin known
    lead = trip.leads >= min(config.score_margin, MIN_LEAD)
    result: npt.NDArray[np.bool_] = trip.exact & code_owners(trip.codes, weights) & ~near_border & lead
    return result


def code_owners(codes: npt.NDArray[np.int64], weights: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Return which segments own their code, (segments,) bool: of several on one code the heaviest, then the first."""
    order = np.lexsort((np.arange(len(codes)), -np.asarray(weights)))
    _, first = np.unique(codes[order], return_index=True)
    owns = np.zeros(len(codes), np.bool_)
    owns[order[first]] = True
    return owns
