"""ConvEncoder: the bytes of a segment to one latent vector."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from tokframe_autoencoder.network.config import EncoderConfig
from tokframe_autoencoder.network.layers import SequenceConv, residual_blocks

__all__ = ["ConvEncoder"]


class ConvEncoder(nn.Module):
    """Byte embeddings and a position signal, convolutions, the last feature map pooled, residual blocks."""

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
        self.strides = tuple(config.strides)
        count = max_length
        for stride in self.strides:
            count = -(-count // stride)
        self.out = nn.Linear(widths[-1] * {"flatten": count, "mean": 1, "mean-max": 2}[config.pooling], d_latent)
        self.blocks = residual_blocks(config.hidden_blocks, d_latent, config.hidden_width)
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
        return self.latents(self.layers[0](hidden), lengths, self.layers[1:])

    def latents(self, first: Tensor, lengths: Tensor, layers: Iterable[Callable[[Tensor], Tensor]]) -> Tensor:
        """What the first convolution gives, (batch, positions, channels), by the other ones, in any form, -> latents.

        With pooling "mean-max" padding stays zero and convolutions that keep the shape are residual.
        """
        hidden = functional.gelu(first)
        if self.pooling != "mean-max":
            for layer in layers:
                hidden = functional.gelu(layer(hidden))
            return self._head(hidden.flatten(1) if self.pooling == "flatten" else hidden.mean(1))
        inside = (torch.arange(self.max_length, device=first.device) < lengths[:, None])[:, :: self.strides[0], None]
        hidden = hidden * inside
        for layer, stride in zip(layers, self.strides[1:], strict=True):
            inside = inside[:, ::stride]
            found = functional.gelu(layer(hidden)) * inside
            hidden = hidden + found if found.shape == hidden.shape else found
        return self._head(torch.cat([hidden.sum(1) / inside.sum(1), hidden.amax(1)], dim=1))

    def _head(self, pooled: Tensor) -> Tensor:
        latent = self.out(pooled)
        for block in self.blocks:
            latent = latent + block(latent)
        normed: Tensor = self.norm(latent)
        return normed
