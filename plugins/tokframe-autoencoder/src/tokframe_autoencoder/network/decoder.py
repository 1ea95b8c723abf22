"""DeconvDecoder: one latent vector to the logits of every byte of a segment and its end."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from torch import Tensor, nn
from torch.nn import functional

from tokframe_autoencoder.network.config import DecoderConfig
from tokframe_autoencoder.network.layers import SequenceDeconv, residual_blocks

__all__ = ["DeconvDecoder"]


class DeconvDecoder(nn.Module):
    """Residual blocks on the latent, a short feature map, transposed convolutions, 257 logits per position."""

    def __init__(self, config: DecoderConfig, *, d_latent: int, max_length: int) -> None:
        super().__init__()
        self.positions = max_length + 1
        self.blocks = residual_blocks(config.hidden_blocks, d_latent, config.hidden_width)
        self.norm = nn.LayerNorm(d_latent)
        self.strides = tuple(config.strides)
        widths = (config.start_channels, *config.deconv_channels)
        start = self.positions
        for stride in reversed(self.strides):
            start = -(-start // stride)
        self.start = start
        self.start_channels = config.start_channels
        self.project = nn.Linear(d_latent, start * config.start_channels)
        self.layers = nn.ModuleList(
            SequenceDeconv(a, b, kernel, stride)
            for a, b, kernel, stride in zip(widths, widths[1:], config.kernel_sizes, config.strides, strict=False)
        )
        self.out = nn.Linear(widths[-1], config.output_vocab_size + 1)

    def forward(self, latents: Tensor) -> Tensor:
        """(batch, d_latent) -> (batch, max_length + 1, 257); logit 256 is the end of the segment."""
        return self.logits(self.features(latents))

    def logits(self, features: Tensor) -> Tensor:
        """(..., channels) -> (..., 257)."""
        logits: Tensor = self.out(features)
        return logits

    def features(self, latents: Tensor, layers: Iterable[Callable[[Tensor], Tensor]] | None = None) -> Tensor:
        """(batch, d_latent) -> (batch, max_length + 1, channels), by other forms of the convolutions if given."""
        for block in self.blocks:
            latents = latents + block(latents)
        hidden = functional.gelu(self.project(self.norm(latents)))
        hidden = hidden.view(len(latents), self.start, self.start_channels)
        for layer in layers or self.layers:
            hidden = functional.gelu(layer(hidden))
        return hidden[:, : self.positions]
