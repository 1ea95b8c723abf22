"""SignQuantizer: a latent is projected to a few dimensions, of which each keeps its sign."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from acme_sign.config import SignConfig
from tokframe.plugins.protocols import Quantized


class SignQuantizer(nn.Module):
    """Binary codes with a straight-through gradient."""

    def __init__(self, config: SignConfig, *, d_latent: int, max_length: int) -> None:
        super().__init__()
        self.codebook_size = 2**config.bits
        self.spread = config.spread
        self.down = nn.Linear(d_latent, config.bits)
        self.up = nn.Linear(config.bits, d_latent)
        self.register_buffer("basis", 2 ** torch.arange(config.bits, dtype=torch.int64), persistent=False)

    def forward(self, latents: torch.Tensor) -> Quantized:
        """(batch, d_latent) -> Quantized."""
        soft = torch.tanh(_in_fp32(self.down, latents))
        bits = soft >= 0
        hard = soft + (bits.to(soft) * 2 - 1 - soft).detach()
        # Bits that are evenly used and independent of each other: without it segments crowd on few codes.
        together = soft.T @ soft / len(soft)
        spread = (together - torch.eye(len(together)).to(together)).square().sum() + soft.mean(0).square().sum()
        return Quantized(
            latents=_in_fp32(self.up, hard).to(latents.dtype),
            indices=(bits.long() * self.basis).sum(-1),
            loss=self.spread * spread,
            margin=soft.detach().abs().amin(-1) / 2,
        )

    def decode_indices(self, indices: torch.Tensor) -> torch.Tensor:
        """(batch,) int64 -> (batch, d_latent)."""
        bits = (indices[:, None] // self.basis) % 2
        return _in_fp32(self.up, bits * 2 - 1).to(self.up.weight.dtype)


def _in_fp32(layer: nn.Linear, x: torch.Tensor) -> torch.Tensor:
    with torch.autocast(x.device.type, enabled=False):
        return functional.linear(x.float(), layer.weight.float(), layer.bias.float())
