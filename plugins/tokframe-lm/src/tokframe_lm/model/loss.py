"""Mean cross-entropy over a large vocabulary, computed in chunks of rows so that not all logits are held at once.

The gradients are computed with the loss, while the logits are in the cache: the idea of fused linear cross-entropy
(Hsu et al., 2024, Liger Kernel), in plain torch. Used in training only.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tokframe_lm.model.canonical import penalize

__all__ = ["mean_cross_entropy"]

_CPU_LOGITS = 2**22  # logits held at once on a CPU: 16 MB
_GPU_LOGITS = 2**27  # more on a GPU, which needs many rows to be busy


def mean_cross_entropy(
    vectors: Tensor,
    table: Tensor,
    bias: Tensor,
    targets: Tensor,
    *,
    penalized: tuple[Tensor, Tensor] | None = None,
    precision: torch.dtype = torch.float32,
) -> Tensor:
    """Return the mean of -ln p of targets (rows,) under logits `vectors @ table.T + bias`, in nats.

    `vectors` (rows, d_model), `table` (ids, d_model), `bias` (ids,). `penalized` are the logits to
    lower, as `canonical.Impossible.positions` returns them. Products are computed in `precision`, sums over rows and
    ids in float32. Differentiable once.
    """
    loss: Tensor = _CrossEntropy.apply(  # type: ignore[no-untyped-call]  # torch has no types there
        vectors.float(), table.float(), bias.float(), targets, penalized, precision
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
        penalized: tuple[Tensor, Tensor] | None,
        precision: torch.dtype,
    ) -> Any:
        count, ids = len(vectors), len(table)
        rows = max(16, (_CPU_LOGITS if vectors.device.type == "cpu" else _GPU_LOGITS) // ids)
        to_vectors, to_table, to_bias = torch.empty_like(vectors), torch.zeros_like(table), torch.zeros_like(bias)
        narrow = table.to(precision)
        loss = vectors.new_zeros(())
        for start in range(0, count, rows):
            part, wanted = vectors[start : start + rows], targets[start : start + rows, None]
            part = part.to(precision)
            logits = (part @ narrow.T).float().add_(bias)
            if penalized is not None:
                first, last = torch.searchsorted(
                    penalized[0], torch.tensor([start, start + rows]).to(penalized[0])
                ).tolist()
                penalize(logits, penalized[0][first:last] - start, penalized[1][first:last])
            right = logits.gather(1, wanted)
            highest = logits.amax(1, keepdim=True)
            total = logits.sub_(highest).exp_().sum(1, keepdim=True)
            loss += (total.log() + highest - right).sum()
            # from here on: the gradient of the logits, (p - 1 at the target) / count
            gradient = logits.div_(total * count)
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
