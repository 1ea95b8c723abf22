"""Use vectors: segments that stand beside the same others in text lie near each other.

Positive pointwise mutual information of a segment with its neighbors, reduced by a truncated singular value
decomposition (Levy and Goldberg, 2014); rare segments lean on those spelled alike.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tokframe_autoencoder.vectors.neighbors import NeighborCounts
from tokframe_autoencoder.vectors.spelling import spelled_alike

__all__ = ["DIMENSIONS", "use_vectors"]

DIMENSIONS = 128
#: Contexts are smoothed by this power, so that rare ones do not score highest (Levy, Goldberg and Dagan, 2015).
_CONTEXT_POWER = 0.75
#: Uses with which a segment counts as much as those spelled alike.
_LEAN_USES = 30.0
#: Uses beyond which a segment counts no more among those spelled alike.
_FULL_USES = 50.0
#: Uses with which a segment counts half in what the dimensions say: else the many rare ones fill them with noise.
_SURE_USES = 200.0
_OVERSAMPLED = 16
_POWER_STEPS = 3
_SEED = 0


def use_vectors(
    counts: NeighborCounts, segments: Sequence[bytes], uses: npt.NDArray[np.int64], dimensions: int = DIMENSIONS
) -> npt.NDArray[np.float32]:
    """Return a vector of length one for each segment, zeros where nothing is known of it: (segments, `dimensions`).

    `uses` (segments,) is how often each occurs. The same counts give the same vectors on one machine.
    """
    seen = uses.astype(np.float64)
    rows, columns, values = _positive_information(counts)
    values *= np.sqrt(seen / (seen + _SURE_USES))[rows]
    reduced = np.zeros((len(segments), dimensions))
    if len(rows):
        left, scale = _decomposed(*_matrix(rows, columns, values, (len(segments), counts.columns)), dimensions)
        reduced[:, : len(scale)] = (left * scale.sqrt()).numpy()
    alike = spelled_alike(segments, reduced, np.minimum(seen, _FULL_USES))
    leaning = (seen[:, None] * reduced + _LEAN_USES * alike) / (seen[:, None] + _LEAN_USES)
    lengths = np.linalg.norm(leaning, axis=1, keepdims=True)
    vectors: npt.NDArray[np.float32] = (leaning / np.maximum(lengths, 1e-12)).astype(np.float32)
    return vectors


def _positive_information(
    counts: NeighborCounts,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return row, column and value where a pair occurs more often than by chance, in nats."""
    rows, columns, found = counts.entries()
    of_rows = np.bincount(rows, found, counts.segments)
    of_columns = np.bincount(columns, found, counts.columns) ** _CONTEXT_POWER
    chance = of_rows[rows] * of_columns[columns] / max(of_columns.sum(), 1e-12)
    values = np.log(found / chance)
    above = values > 0
    return rows[above], columns[above], values[above]


def _matrix(
    rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64], values: npt.NDArray[np.float64], size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Return the sparse matrix and its transpose, by rows and in float32: twenty times as fast as pairs in float64."""
    entries = torch.from_numpy(values.astype(np.float32))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta state")
        matrix, turned = (
            torch.sparse_coo_tensor(torch.from_numpy(np.stack(places)), entries, shape, check_invariants=True)
            .coalesce()
            .to_sparse_csr()
            for places, shape in (((rows, columns), size), ((columns, rows), size[::-1]))
        )
    return matrix, turned


def _decomposed(matrix: Tensor, turned: Tensor, dimensions: int) -> tuple[Tensor, Tensor]:
    """Return left singular vectors (rows, d) and values (d,), largest first; each vector's largest entry is positive.

    `turned` is the transpose of `matrix`. By subspace iteration (Halko, Martinsson and Tropp, 2011).
    """
    width = min(dimensions + _OVERSAMPLED, *matrix.shape)
    generator = torch.Generator().manual_seed(_SEED)
    basis = torch.randn(matrix.shape[1], width, generator=generator, dtype=matrix.dtype)
    for _ in range(_POWER_STEPS):
        range_, _ = torch.linalg.qr(matrix @ basis)
        basis, _ = torch.linalg.qr(turned @ range_)
    range_, _ = torch.linalg.qr(matrix @ basis)
    _, scale, inner = torch.linalg.svd(turned @ range_, full_matrices=False)
    left = (range_ @ inner.T)[:, :dimensions]
    largest = left.gather(0, left.abs().argmax(0, keepdim=True))
    return left * torch.where(largest < 0, -1.0, 1.0), scale[:dimensions]
