"""ConvEncoder: the bytes of a segment to one latent vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tokframe_autoencoder.network.config import EncoderConfig
from tokframe_autoencoder.network.layers import SequenceConv

__all__ = ["ConvEncoder"]


class ConvEncoder(nn.Module):
    """Byte embeddings and a position signal, strided convolutions, the last feature map flattened or averaged."""

    def __init__(self, config: EncoderConfig, *, d_latent: int, max_length: int) -> None:
        super().__init__()
        self.max_length = max_length
        self.pooling = config.pooling
        self.embedding = nn.Parameter(torch.randn(256, config.d_char))
        self.position = nn.Parameter(torch.randn(max_length, config.d_char) * 0.5) if config.position else None
        widths = (config.d_char, *config.conv_channels)
        self.layers = nn.ModuleList(
            SequenceConv(a, b, kernel, stride)
            for a, b, kernel, stride in zip(widths, widths[1:], config.kernel_sizes, config.strides, strict=False)
        )
        count = max_length
        for stride in config.strides:
            count = -(-count // stride)
        self.out = nn.Linear(widths[-1] * (count if config.pooling == "flatten" else 1), d_latent)
        self.norm = nn.LayerNorm(d_latent)

    def forward(self, data: Tensor, lengths: Tensor) -> Tensor:
        """(batch, width <= max_length) int64, (batch,) int64 -> (batch, d_latent); padding does not count."""
        if data.shape[1] < self.max_length:
            data = functional.pad(data, (0, self.max_length - data.shape[1]))
        inside = torch.arange(self.max_length, device=data.device) < lengths[:, None]
        hidden = functional.embedding(torch.where(inside, data, 0), self.embedding)
        if self.position is not None:
            hidden = hidden + self.position
        hidden = hidden * inside[..., None]
        for layer in self.layers:
            hidden = functional.gelu(layer(hidden))
        pooled = hidden.flatten(1) if self.pooling == "flatten" else hidden.mean(1)
        latent: Tensor = self.norm(self.out(pooled))
        return latent
