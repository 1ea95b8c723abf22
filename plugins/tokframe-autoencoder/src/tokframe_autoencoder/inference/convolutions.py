"""Convolutions for inference: one matrix product over overlapping windows of a padded sequence, no copy for one row.

A transposed convolution is one too: `stride` neighboring outputs read the same few inputs.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from tokframe_autoencoder.network.layers import SequenceConv, SequenceDeconv

__all__ = ["Windows"]


class Windows:
    """(batch, n, c_in) -> (batch, ceil(n / step) * outputs, c_out), weights laid out once."""

    def __init__(self, weight: Tensor, bias: Tensor, *, reach: int, step: int, before: int, outputs: int) -> None:
        self._weight = weight.detach().T.contiguous()
        self._bias = bias.detach().contiguous()
        self._reach, self._step, self._before, self._outputs = reach, step, before, outputs

    @classmethod
    def of_conv(cls, layer: SequenceConv) -> Windows:
        """Return the same convolution."""
        return cls(layer.weight, layer.bias, reach=layer.kernel, step=layer.stride, before=layer.kernel // 2, outputs=1)

    @classmethod
    def of_deconv(cls, layer: SequenceDeconv) -> Windows:
        """Return the same transposed convolution; products with zeros cost less than scattered sums."""
        kernel, stride, c_out = layer.kernel, layer.stride, layer.c_out
        taps = layer.weight.detach().view(kernel, c_out, -1)
        left = kernel // 2
        shifts = {(residue, k): (residue + left - k) // stride for residue in range(stride) for k in range(kernel)}
        known = {(r, k): by for (r, k), by in shifts.items() if (r + left - k) % stride == 0}
        before = max(0, -min(known.values()))
        reach = before + max(0, *known.values()) + 1
        weight = taps.new_zeros(stride, c_out, reach, taps.shape[2])
        for (residue, k), by in known.items():
            weight[residue, :, before + by] += taps[k]
        return cls(
            weight.view(stride * c_out, -1),
            layer.bias.repeat(stride),
            reach=reach,
            step=1,
            before=before,
            outputs=stride,
        )

    def __call__(self, x: Tensor) -> Tensor:
        """Return the convolved sequence."""
        batch, n, width = x.shape
        count = -(-n // self._step)
        after = max(0, (count - 1) * self._step + self._reach - self._before - n)
        padded = functional.pad(x, (0, 0, self._before, after))
        size = (batch, count, self._reach * width)
        windows = padded.as_strided(size, (padded.shape[1] * width, self._step * width, 1))
        product = torch.addmm(self._bias, windows.reshape(batch * count, -1), self._weight)
        return product.view(batch, count * self._outputs, -1)
