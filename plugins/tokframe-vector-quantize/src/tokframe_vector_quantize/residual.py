"""ResidualFSQuantizer: residual FSQ by vector-quantize-pytorch; the codes of all rounds are digits of one number."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from vector_quantize_pytorch import ResidualFSQ

from tokframe.plugins.protocols import Quantized
from tokframe_vector_quantize.config import ResidualFSQConfig
from tokframe_vector_quantize.precision import KeepsPrecision, linear_fp32

__all__ = ["ResidualFSQuantizer"]


class _Rounds(KeepsPrecision, ResidualFSQ):  # type: ignore[misc]  # a library without types
    """The library's quantizer, which has no weights."""


class ResidualFSQuantizer(nn.Module):
    """Quantizer "rfsq". A code is `sum(round's code * codes per round ** round)`, first round fastest."""

    basis: Tensor

    def __init__(self, config: ResidualFSQConfig, *, d_latent: int, max_length: int) -> None:
        super().__init__()
        del max_length  # part of every component's constructor; a code has no length
        # Projections of our own: the library omits its own where the widths are equal.
        dims = len(config.levels)
        self.project_in = nn.Linear(d_latent, dims)
        self.project_out = nn.Linear(dims, d_latent)
        self.rounds: Any = _Rounds(levels=list(config.levels), num_quantizers=config.quantizers)
        self.per_round = math.prod(config.levels)
        self.codebook_size = self.per_round**config.quantizers
        basis = [self.per_round**number for number in range(config.quantizers)]
        self.register_buffer("basis", torch.tensor(basis, dtype=torch.int64), persistent=False)

    def forward(self, latents: Tensor) -> Quantized:
        """(batch, d_latent) -> Quantized; the gradient passes straight through every round."""
        with torch.autocast(latents.device.type, enabled=False):
            values, codes = self.rounds(linear_fp32(self.project_in, latents)[:, None])
            quantized = linear_fp32(self.project_out, values[:, 0])
        codes = codes[:, 0].long().clamp(0, self.per_round - 1)  # the library makes any number of a NaN
        return Quantized(
            latents=quantized.to(latents.dtype),
            indices=(codes * self.basis).sum(-1),
            loss=quantized.new_zeros(()),
        )

    def input_parameters(self) -> Iterator[nn.Parameter]:
        """Return the parameters that make codes out of latents."""
        return self.project_in.parameters()

    def decode_indices(self, indices: Tensor) -> Tensor:
        """(batch,) int64 -> (batch, d_latent)."""
        with torch.autocast(indices.device.type, enabled=False):
            codes = (indices[:, None] // self.basis) % self.per_round
            latents = linear_fp32(self.project_out, self.rounds.get_output_from_indices(codes[:, None])[:, 0])
            return latents.to(self.project_out.weight.dtype)
