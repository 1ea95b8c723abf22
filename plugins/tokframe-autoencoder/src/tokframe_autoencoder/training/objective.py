"""UseObjective: what the network learns of how segments are used: their vectors, and so the classes they belong to.

The same for every quantizer. Which vectors and classes there are is left to `vectors` and `plan`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from tokframe_autoencoder.network.autoencoder import Autoencoder
from tokframe_autoencoder.network.segments import SegmentTable

__all__ = ["MEASURED_USES", "UseObjective"]

#: Weight of the distance between vectors, one less their cosine, beside the cross-entropy of the classes.
_COSINE_WEIGHT = 2.0
#: Cosines with the centers of classes, times this, are the logits of the classes.
_SHARPNESS = 12.0
#: Uses from which on a segment's own vector is known well enough to measure by it.
MEASURED_USES = 20
_AMONG = 5


class UseObjective:
    """Vectors (segments, d), of length one or zeros where nothing is known, and classes (segments,), as targets.

    A segment counts by the root of its uses, `weights` (segments,). Centers of classes are those of `taught` segments.
    """

    def __init__(
        self,
        network: Autoencoder,
        table: SegmentTable,
        vectors: npt.NDArray[np.float32],
        classes: npt.NDArray[np.int64],
        weights: npt.NDArray[np.float64],
        taught: npt.NDArray[np.bool_],
    ) -> None:
        self.network, self.table, self.weights, self.taught = network, table, weights, taught
        self.known = np.asarray(vectors.any(1), np.bool_)
        root = np.sqrt(weights) * self.known
        device = table.lengths.device
        self.targets = torch.tensor(vectors, dtype=torch.float32, device=device)
        self.classes = torch.from_numpy(classes).to(device)
        self.shares = torch.from_numpy(root / max(root.mean(), 1e-12)).float().to(device)
        centers = np.zeros((int(classes.max(initial=0)) + 1, vectors.shape[1]))
        np.add.at(centers, classes[taught], vectors[taught] * root[taught, None])
        self.centers = functional.normalize(torch.from_numpy(centers).float(), dim=1).to(device)

    def loss(self, latents: Tensor, chosen: Tensor, batch: Tensor) -> Tensor:
        """(rows, d_latent) of segments `chosen` (rows,) out of `batch` -> their part of the batch's mean loss."""
        found = self.network.use_of(latents)
        apart = 1 - (found * self.targets[chosen]).sum(1)
        logits = _SHARPNESS * found @ self.centers.T
        wrong = functional.cross_entropy(logits, self.classes[chosen], reduction="none")
        return ((_COSINE_WEIGHT * apart + wrong) * self.shares[chosen]).sum() / len(batch)

    def figures(self, chosen: npt.NDArray[np.bool_]) -> dict[str, float | int]:
        """Measure segments (segments,) bool, of those known: cosine to their vector, class right, among five."""
        rows = torch.from_numpy(np.flatnonzero(chosen & self.known)).to(self.table.lengths.device)
        part = SegmentTable(
            data=self.table.data[rows], lengths=self.table.lengths[rows], targets=self.table.targets[rows]
        )
        found = self.network.vectors_table(part)
        nearest = (found @ self.centers.T).topk(min(_AMONG, len(self.centers)), dim=1).indices
        right = nearest == self.classes[rows][:, None]
        figures: dict[str, Any] = {"use_segments": len(rows)}
        if len(rows):
            figures["use_cosine"] = float((found * self.targets[rows]).sum(1).mean())
            figures["class_accuracy"] = float(right[:, 0].float().mean())
            figures["class_among_five_accuracy"] = float(right.any(1).float().mean())
        return figures
