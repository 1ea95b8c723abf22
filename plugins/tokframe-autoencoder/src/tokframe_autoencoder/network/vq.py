"""Vector quantization (van den Oord et al., arXiv 1711.00937) with a codebook kept as running means.

The alternative to FSQ: each latent takes the nearest of a list of learned vectors. Codes that nothing uses are moved
onto latents, without which most of a large codebook stays empty. Owns its projections; computes in fp32, as `fsq` does,
and the codebook stays fp32 in a half model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Self

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional

from tokframe.plugins.protocols import Quantized
from tokframe_autoencoder.network.config import VQConfig
from tokframe_autoencoder.network.layers import linear_fp32
from tokframe_autoencoder.network.segments import batches

__all__ = ["VQ"]

#: Distances held at a time: 4 MB stay in the processor's cache, which is five times as fast as going through memory.
MAX_DISTANCES = 1 << 20
MAX_ROUNDS = 50


class VQ(nn.Module):
    """Quantizer "vq". The codebook is `sums / counts`: what latents used each code, averaged with decay."""

    sums: Tensor
    counts: Tensor
    idle: Tensor

    def __init__(self, config: VQConfig, *, d_latent: int, max_length: int) -> None:
        super().__init__()
        del max_length  # part of every component's constructor; a code has no length
        self.codebook_size = config.codebook_size
        self.decay = config.decay
        self.commitment = config.commitment
        self.revive_after = config.revive_after
        self.project_in = nn.Linear(d_latent, config.d_code)
        self.project_out = nn.Linear(config.d_code, d_latent)
        self.register_buffer("sums", torch.randn(config.codebook_size, config.d_code, dtype=torch.float32))
        self.register_buffer("counts", torch.ones(config.codebook_size, dtype=torch.float32))
        self.register_buffer("idle", torch.zeros(config.codebook_size, dtype=torch.int32))

    @property
    def codebook(self) -> Tensor:
        """The code vectors, (codebook_size, d_code)."""
        return self.sums / self.counts.clamp(min=1e-8)[:, None]

    def forward(self, latents: Tensor) -> Quantized:
        """(batch, d_latent) -> Quantized; in training mode the codebook follows the latents."""
        with torch.autocast(latents.device.type, enabled=False):
            points = linear_fp32(self.project_in, latents)
            codebook = self.codebook
            indices = _nearest(points.detach(), codebook)
            chosen = codebook[indices]
            commitment = self.commitment * functional.mse_loss(points, chosen)
            if self.training:
                self._follow(points.detach(), indices)
            quantized = linear_fp32(self.project_out, points + (chosen - points).detach())
        return Quantized(latents=quantized.to(latents.dtype), indices=indices, loss=commitment, margin=None)

    def decode_indices(self, indices: Tensor) -> Tensor:
        """(batch,) int64 -> (batch, d_latent)."""
        with torch.autocast(indices.device.type, enabled=False):
            size = self.counts[indices].clamp(min=1e-8)
            latents = linear_fp32(self.project_out, self.sums[indices] / size[:, None])
            return latents.to(self.project_out.weight.dtype)

    def input_parameters(self) -> Iterator[nn.Parameter]:
        """Return the parameters that make codes out of latents."""
        return self.project_in.parameters()

    @torch.no_grad()
    def separate(self, latents: Tensor) -> int:
        """Give latents that share a code one of their own, as long as unused codes last; return how many still share.

        (segments, d_latent). An unused code is put exactly where a latent is. It may draw others away from their
        code, so this is repeated.
        """
        points = linear_fp32(self.project_in, latents)
        numbers = torch.arange(len(points), device=points.device)
        sharing = numbers
        for _ in range(MAX_ROUNDS):
            codebook = self.codebook
            indices = _nearest(points, codebook)
            # The nearest latent keeps the code: one that got its code exactly never loses it again.
            order = (points - codebook[indices]).square().sum(1).argsort(stable=True)
            rank = torch.empty_like(numbers).index_copy_(0, order, numbers)
            first = torch.full((self.codebook_size,), len(points), device=points.device)
            first = first.scatter_reduce(0, indices, rank, "amin")
            sharing = numbers[first[indices] != rank]
            unused = (first == len(points)).nonzero()[:, 0]
            count = min(len(sharing), len(unused))
            if not count:
                break
            self._place(unused[:count], points[sharing[:count]])
        return len(sharing)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # Running means only move: in a half type they would stand still.
        means = self.sums, self.counts
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.sums, self.counts = (mean.to(self.idle.device) for mean in means)
        return self

    def _follow(self, points: Tensor, indices: Tensor) -> None:
        """Move used codes towards their latents and codes idle for long onto latents of this batch.

        Processes that train together each follow the whole batch, so that their codebooks stay one.
        """
        points, indices = _of_all_processes(points), _of_all_processes(indices)
        new_sums = torch.zeros_like(self.sums).index_add_(0, indices, points)
        new_counts = torch.bincount(indices, minlength=self.codebook_size).to(self.counts.dtype)
        self.sums.mul_(self.decay).add_(new_sums, alpha=1 - self.decay)
        self.counts.mul_(self.decay).add_(new_counts, alpha=1 - self.decay)
        self.idle.add_(1)
        self.idle[indices] = 0
        # Batches are drawn at random, so taking rows in order needs no random state of its own.
        dead = (self.idle >= self.revive_after).nonzero()[:, 0][: len(points)]
        self._place(dead, points[: len(dead)])

    def _place(self, codes: Tensor, points: Tensor) -> None:
        self.sums[codes] = points
        self.counts[codes] = 1.0
        self.idle[codes] = 0


def _of_all_processes(rows: Tensor) -> Tensor:
    """Return the rows of all processes that train together, in their order: (n, ...) -> (all, ...)."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return rows
    count = torch.tensor([len(rows)], device=rows.device)
    counts = [torch.zeros_like(count) for _ in range(distributed.get_world_size())]
    distributed.all_gather(counts, count)
    padded = rows.new_zeros(max(int(n) for n in counts), *rows.shape[1:])
    padded[: len(rows)] = rows
    parts = [torch.empty_like(padded) for _ in counts]
    distributed.all_gather(parts, padded)
    return torch.cat([part[: int(n)] for part, n in zip(parts, counts, strict=True)])


def _nearest(points: Tensor, codebook: Tensor) -> Tensor:
    """Return the nearest code by squared distance, in chunks so that memory stays bounded: (batch,) int64."""
    norms = codebook.square().sum(1)
    rows = max(1, MAX_DISTANCES // len(codebook))
    # The square of the point itself is the same for all codes, so it is left out.
    parts = [torch.addmm(norms, part, codebook.T, alpha=-2).argmin(1) for (part,) in batches([points], rows)]
    return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.int64, device=points.device)
