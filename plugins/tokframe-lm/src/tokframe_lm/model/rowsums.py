"""RowSums: rows that are sums of shared rows, with a fast gradient and a least-squares solver."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["RowSums", "least_squares"]

_ITERATIONS = 40  # of conjugate gradients; more would fit rows of few members to noise


class RowSums(nn.Module):
    """`parts` holds, for each row, the numbers of the `shared` rows that it is the sum of.

    PyTorch's own gradient of `embedding_bag` adds row by row; with the members of each shared row listed ahead it is
    another `embedding_bag`.
    """

    parts: Tensor
    starts: Tensor
    members: Tensor
    member_starts: Tensor

    def __init__(self, parts: Sequence[Sequence[int]], shared: int) -> None:
        super().__init__()
        self.shared = shared
        lengths = np.asarray([len(row) for row in parts])
        flat = np.asarray([number for row in parts for number in row], np.int64)
        owners = np.repeat(np.arange(len(parts)), lengths)
        order = np.argsort(flat, kind="stable")
        counts = np.bincount(flat, minlength=shared)
        tables = {
            "parts": flat,
            "starts": np.cumsum(lengths) - lengths,
            "members": owners[order],
            "member_starts": np.cumsum(counts) - counts,
        }
        for name, table in tables.items():
            self.register_buffer(name, torch.from_numpy(table.astype(np.int64)), persistent=False)

    def forward(self, shared: Tensor) -> Tensor:
        """Return the sums: (shared, d_model) -> (rows, d_model)."""
        found: Tensor = _Sums.apply(shared, self)  # type: ignore[no-untyped-call]  # torch has no types there
        return found

    def some(self, shared: Tensor, rows: Tensor) -> Tensor:
        """Return the sums of some rows (n,): (shared, d_model) -> (n, d_model)."""
        starts = self.starts[rows]
        stops = torch.cat([self.starts[1:], self.starts.new_tensor([len(self.parts)])])[rows]
        lengths = stops - starts
        first = torch.cumsum(lengths, 0) - lengths
        places = torch.arange(int(lengths.sum()), device=rows.device)
        places += torch.repeat_interleave(starts - first, lengths)
        return functional.embedding_bag(self.parts[places], shared, first, mode="sum")

    def transposed(self, values: Tensor) -> Tensor:
        """Return, for each shared row, the sum over its members: (rows, d_model) -> (shared, d_model)."""
        return functional.embedding_bag(self.members, values.contiguous(), self.member_starts, mode="sum")


class _Sums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, shared: Tensor, sums: RowSums) -> Tensor:
        ctx.sums = sums
        return functional.embedding_bag(sums.parts, shared, sums.starts, mode="sum")

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return ctx.sums.transposed(gradient), None


@torch.no_grad()
def least_squares(sums: Sequence[RowSums], table: Tensor) -> tuple[Tensor, ...]:
    """Return the shared rows (shared, d_model) of each of `sums` whose sums added up are nearest to `table`.

    Conjugate gradients on the normal equations, scaled by the members of each shared row; every column is a problem of
    its own (Hestenes and Stiefel, 1952). Computed in float64: single precision stops far from the solution.
    """
    sizes = [one.shared for one in sums]

    def added(shared: Tensor) -> Tensor:
        return torch.stack([one(part) for one, part in zip(sums, torch.split(shared, sizes), strict=True)]).sum(0)

    def transposed(values: Tensor) -> Tensor:
        return torch.cat([one.transposed(values) for one in sums])

    missing = table.double()
    members = transposed(torch.ones_like(missing)).clamp(min=1.0)
    slope = transposed(missing)
    step = slope / members
    found, size = torch.zeros_like(slope), (slope * step).sum(0)
    enough = 1e-14 * size
    for _ in range(_ITERATIONS):
        if bool((size <= enough).all()):
            break
        change = added(step)
        length = size / (change * change).sum(0).clamp(min=1e-30)
        found += length * step
        missing = missing - length * change
        slope = transposed(missing)
        scaled = slope / members
        before, size = size, (slope * scaled).sum(0)
        step = scaled + (size / before.clamp(min=1e-30)) * step
    return torch.split(found, sizes)
