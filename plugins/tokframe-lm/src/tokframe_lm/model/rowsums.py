"""Rows that are sums of shared rows, fast both ways: the gradient is a sum over the members of each shared row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["RowSums"]


class RowSums(nn.Module):
    """For each of `len(parts)` rows the numbers of the shared rows that it is the sum of.

    PyTorch's own gradient of `embedding_bag` adds row by row; with the members of each shared row listed ahead it is
    another `embedding_bag`.
    """

    parts: Tensor
    starts: Tensor
    members: Tensor
    member_starts: Tensor

    def __init__(self, parts: Sequence[Sequence[int]], shared: int) -> None:
        super().__init__()
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
        found: Tensor = _Sums.apply(  # type: ignore[no-untyped-call]  # torch has no types there
            shared, self.parts, self.starts, self.members, self.member_starts
        )
        return found


class _Sums(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, shared: Tensor, parts: Tensor, starts: Tensor, members: Tensor, member_starts: Tensor
    ) -> Tensor:
        ctx.save_for_backward(members, member_starts)
        return functional.embedding_bag(parts, shared, starts, mode="sum")

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        members, member_starts = ctx.saved_tensors
        summed = functional.embedding_bag(members, gradient.contiguous(), member_starts, mode="sum")
        return summed, None, None, None, None
