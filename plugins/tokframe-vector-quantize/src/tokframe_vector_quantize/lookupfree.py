"""LookupFreeQuantizer: lookup-free quantization by vector-quantize-pytorch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from vector_quantize_pytorch import LFQ

from tokframe.plugins.protocols import Quantized
from tokframe_vector_quantize.config import LookupFreeConfig
from tokframe_vector_quantize.precision import KeepsPrecision, linear_fp32

__all__ = ["LookupFreeQuantizer"]


class _Signs(KeepsPrecision, LFQ):  # type: ignore[misc]  # a library without types
    """The library's quantizer, which has no weights."""


class LookupFreeQuantizer(nn.Module):
    """Quantizer "lfq". A code is the signs of the projected latent as bits, first dimension highest."""

    def __init__(self, config: LookupFreeConfig, *, d_latent: int, max_length: int) -> None:
        super().__init__()
        del max_length  # part of every component's constructor; a code has no length
        self.codebook_size = 2**config.bits
        self.project_in = nn.Linear(d_latent, config.bits)
        self.project_out = nn.Linear(config.bits, d_latent)
        self.signs: Any = _Signs(
            dim=config.bits,
            codebook_size=self.codebook_size,
            entropy_loss_weight=config.entropy_weight,
            commitment_loss_weight=config.commitment_weight,
            diversity_gamma=config.diversity,
        )

    def forward(self, latents: Tensor) -> Quantized:
        """(batch, d_latent) -> Quantized; the loss (entropy and commitment) is zero outside training."""
        with torch.autocast(latents.device.type, enabled=False):
            points = linear_fp32(self.project_in, latents)
            values, codes, loss = self.signs(points[:, None])
            quantized = linear_fp32(self.project_out, values[:, 0])
        return Quantized(
            latents=quantized.to(latents.dtype),
            indices=codes[:, 0].long(),
            loss=loss,
            margin=points.detach().abs().amin(-1) / 2,  # a bin reaches from 0 to 2: its value is 1
        )

    def input_parameters(self) -> Iterator[nn.Parameter]:
        """Return the parameters that make codes out of latents."""
        return self.project_in.parameters()

    def decode_indices(self, indices: Tensor) -> Tensor:
        """(batch,) int64 -> (batch, d_latent)."""
        with torch.autocast(indices.device.type, enabled=False):
            latents = linear_fp32(self.project_out, self.signs.indices_to_codes(indices[:, None])[:, 0])
            return latents.to(self.project_out.weight.dtype)
