"""What training returns and what it records on the way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import frozen

from tokframe_autoencoder.network.autoencoder import Autoencoder
from tokframe_autoencoder.network.results import RoundTrip

__all__ = ["StageReport", "TrainedNetwork"]


@frozen(kw_only=True, eq=False)
class TrainedNetwork:
    """A trained network, in evaluation mode on the CPU, and how it stands.

    `roundtrip` is measured in fp32 through the whole network; `usable` (segments,) bool: exact, on a code of its own
    (of two on one code the heavier is usable) and with the margins asked for where the quantizer knows any; `steps`
    and `minutes` over all sessions; `history` one record of figures per evaluation.
    """

    network: Autoencoder
    roundtrip: RoundTrip
    usable: npt.NDArray[np.bool_]
    steps: int
    minutes: float
    finished: str
    history: tuple[Mapping[str, Any], ...]


@frozen(kw_only=True, eq=False)
class StageReport:
    """An evaluation: is the stage's aim `reached`; is it `ripe`, so that the finish may begin; and the figures."""

    reached: bool
    ripe: bool
    figures: dict[str, float | int]
