"""One-dimensional convolutions written as matrix products, which small ones run faster as on a CPU.

Layout is (batch, positions, channels). Parameters stay fp32; under autocast the products run in its type. A quantizer's
projections are the exception: `linear_fp32`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["SequenceConv", "SequenceDeconv", "linear_fp32", "residual_blocks"]


def linear_fp32(layer: nn.Linear, x: Tensor) -> Tensor:
    """Return `layer(x)` computed in fp32 whatever the type of either: (..., n) -> (..., m) fp32."""
    with torch.autocast(x.device.type, enabled=False):
        return functional.linear(x.float(), layer.weight.float(), layer.bias.float())


def residual_blocks(count: int, width: int, hidden: int) -> nn.ModuleList:
    """Return blocks whose results are to be added to what they read: (batch, width) -> (batch, width)."""
    return nn.ModuleList(
        nn.Sequential(nn.LayerNorm(width), nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
        for _ in range(count)
    )


class SequenceConv(nn.Module):
    """Convolution with zero padding: (batch, n, c_in) -> (batch, ceil(n / stride), c_out)."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.weight = nn.Parameter(torch.randn(c_out, kernel * c_in) * (2.0 / (kernel * c_in)) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(c_out))

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolved sequence; tap `k` of output `i` reads input `i * stride + k - kernel // 2`."""
        count = -(-x.shape[1] // self.stride)
        reach = (count - 1) * self.stride + 1
        left = self.kernel // 2
        x = functional.pad(x, (0, 0, left, max(0, reach + self.kernel - 1 - left - x.shape[1])))
        taps = [x[:, k : k + reach : self.stride] for k in range(self.kernel)]
        return functional.linear(torch.cat(taps, dim=-1), self.weight, self.bias)


class SequenceDeconv(nn.Module):
    """Transposed convolution: (batch, n, c_in) -> (batch, n * stride, c_out)."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride, self.c_out = kernel, stride, c_out
        self.weight = nn.Parameter(torch.randn(kernel * c_out, c_in) * (2.0 * stride / (kernel * c_in)) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(c_out))

    def forward(self, x: Tensor) -> Tensor:
        """Return the lengthened sequence; tap `k` of input `i` adds to output `i * stride + k - kernel // 2`."""
        batch, count, _ = x.shape
        left, stride = self.kernel // 2, self.stride
        y = functional.linear(x, self.weight).view(batch, count, self.kernel, self.c_out)
        # Each residue class of output positions takes its own taps, so that nothing is multiplied by zeros.
        columns = []
        for residue in range(stride):
            column: Tensor | None = None
            for k in range((residue + left) % stride, self.kernel, stride):
                part = _shift(y[:, :, k], (residue + left - k) // stride)
                column = part if column is None else column + part
            columns.append(column if column is not None else torch.zeros_like(y[:, :, 0]))
        out = columns[0] if stride == 1 else torch.stack(columns, dim=2).view(batch, count * stride, self.c_out)
        return out + self.bias


def _shift(x: Tensor, by: int) -> Tensor:
    """Return `x[:, i + by]` with zeros beyond the ends."""
    if by > 0:
        return functional.pad(x[:, by:], (0, 0, 0, by))
    if by < 0:
        return functional.pad(x[:, :by], (0, 0, -by, 0))
    return x
