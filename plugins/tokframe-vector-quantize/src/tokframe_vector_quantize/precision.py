"""Precision: what the quantizers of a library need to compute in fp32, in half models too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["KeepsPrecision", "linear_fp32"]


class KeepsPrecision(nn.Module):
    """A module whose tensors are constants: `to`, `half` and the like move them and never change their type."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(lambda tensor: tensor.to(fn(tensor).device), recurse)  # type: ignore[no-untyped-call]
        return self


def linear_fp32(layer: nn.Linear, x: Tensor) -> Tensor:
    """Return `layer(x)` computed in fp32 whatever the type of either: (..., n) -> (..., m) fp32."""
    with torch.autocast(x.device.type, enabled=False):
        return functional.linear(x.float(), layer.weight.float(), layer.bias.float())
