"""The loss over a large vocabulary, a few rows at a time: scores of all tokens are never held at once.

The gradients are computed beside the loss, while the scores are still in the cache; the idea is that of fused linear
cross-entropy (Hsu et al., 2024, Liger Kernel), in plain torch. Evaluation and generation do without.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tokframe_lm.model.canonical import lower

__all__ = ["mean_cross_entropy"]

_CACHED = 2**22  # scores held at once on a CPU: 16 MB
_RESIDENT = 2**27  # and on a GPU, where rows are what keeps it busy


def mean_cross_entropy(
    vectors: Tensor,
    table: Tensor,
    bias: Tensor,
    targets: Tensor,
    *,
    lowered: tuple[Tensor, Tensor] | None = None,
    precision: torch.dtype = torch.float32,
) -> Tensor:
    """Return the mean of -ln p of targets (rows,) under scores `vectors @ table.T + bias`, in nats.

    `vectors` (rows, d_model), `table` (ids, d_model), `bias` (ids,). `lowered` names scores to lower, as
    `canonical.Impossible.places` does. Products are taken in `precision`; what is summed over rows and ids is float32.
    Differentiable once.
    """
    loss: Tensor = _CrossEntropy.apply(  # type: ignore[no-untyped-call]  # torch has no types there
        vectors.float(), table.float(), bias.float(), targets, lowered, precision
    )
    return loss


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        vectors: Tensor,
        table: Tensor,
        bias: Tensor,
        targets: Tensor,
        lowered: tuple[Tensor, Tensor] | None,
        precision: torch.dtype,
    ) -> Any:
        count, ids = len(vectors), len(table)
        rows = max(16, (_CACHED if vectors.device.type == "cpu" else _RESIDENT) // ids)
        to_vectors, to_table, to_bias = torch.empty_like(vectors), torch.zeros_like(table), torch.zeros_like(bias)
        narrow = table.to(precision)
        loss = vectors.new_zeros(())
        for start in range(0, count, rows):
            part, wanted = vectors[start : start + rows], targets[start : start + rows, None]
            part = part.to(precision)
            scores = (part @ narrow.T).float().add_(bias)
            if lowered is not None:
                first, last = torch.searchsorted(
                    lowered[0], torch.tensor([start, start + rows]).to(lowered[0])
                ).tolist()
                lower(scores, lowered[0][first:last] - start, lowered[1][first:last])
            right = scores.gather(1, wanted)
            highest = scores.amax(1, keepdim=True)
            total = scores.sub_(highest).exp_().sum(1, keepdim=True)
            loss += (total.log() + highest - right).sum()
            # from here on: the gradient of the scores, (p - 1 at the target) / count
            gradient = scores.div_(total * count)
            gradient.scatter_add_(1, wanted, gradient.new_full((len(part), 1), -1 / count))
            to_bias += gradient.sum(0)
            gradient = gradient.to(precision)
            to_vectors[start : start + rows] = gradient @ narrow
            to_table += gradient.T @ part
        ctx.save_for_backward(to_vectors, to_table, to_bias)
        return loss / count

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        to_vectors, to_table, to_bias = ctx.saved_tensors
        return to_vectors * gradient, to_table * gradient, to_bias * gradient, None, None, None
