"""LookupFreeQuantizer: lookup-free quantization by vector-quantize-pytorch."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from vector_quantize_pytorch import LFQ

from tokframe.plugins.protocols import Quantized
from tokframe_vector_quantize.config import LookupFreeConfig

__all__ = ["LookupFreeQuantizer"]


class LookupFreeQuantizer(nn.Module):
    """Quantizer "lfq". A code is the signs of the projected latent as bits, first dimension highest."""

    def __init__(self, config: LookupFreeConfig, *, d_latent: int, max_length: int) -> None:
        super().__init__()
        del max_length  # part of every component's constructor; a code has no length
        self.project_in = nn.Linear(d_latent, config.bits)
        self.project_out = nn.Linear(config.bits, d_latent)
        self.signs = LFQ(
            dim=config.bits,
            codebook_size=2**config.bits,
            entropy_loss_weight=config.entropy_weight,
            commitment_loss_weight=config.commitment_weight,
            diversity_gamma=config.diversity,
        )
        self.codebook_size = int(self.signs.codebook_size)

    def forward(self, latents: Tensor) -> Quantized:
        """(batch, d_latent) -> Quantized; the loss (entropy and commitment) is zero outside training."""
        with torch.autocast(latents.device.type, enabled=False):
            points = self.project_in(latents.float())
            values, codes, loss = self.signs(points[:, None])
            quantized = self.project_out(values[:, 0])
        return Quantized(
            latents=quantized,
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
            latents: Tensor = self.project_out(self.signs.indices_to_codes(indices[:, None])[:, 0])
            return latents
