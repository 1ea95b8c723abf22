"""Finite scalar quantization (Mentzer et al., arXiv 2309.15505): a few bounded scalars, each rounded to a digit.

Owns the projections between latent and digits. Computes in fp32 and int64, also under autocast and in half models; what
it returns for latents has their type, and what it returns for codes that of its weights.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from tokframe.plugins.protocols import Quantized
from tokframe_autoencoder.network.config import FSQConfig
from tokframe_autoencoder.network.layers import linear_fp32

__all__ = ["FSQ", "SIGMOID_SLOPE", "bins_of"]

SIGMOID_SLOPE = 1.6  # sigmoid(1.6 x) is close to the normal distribution function: unit normal inputs fill bins evenly
_EPS = 1e-3


class FSQ(nn.Module):
    """Quantizer "fsq". A code is `sum(digit * basis)`, first dimension fastest."""

    levels: Tensor
    basis: Tensor

    def __init__(self, config: FSQConfig, *, d_latent: int, max_length: int) -> None:
        super().__init__()
        del max_length  # part of every component's constructor; a code has no length
        self.shape = tuple(config.levels)
        self.bound = config.bound
        self.temperature = config.temperature
        self.codebook_size = math.prod(self.shape)
        dims = len(self.shape)
        basis = [math.prod(self.shape[:i]) for i in range(dims)]
        self.register_buffer("levels", torch.tensor(self.shape, dtype=torch.int64), persistent=False)
        self.register_buffer("basis", torch.tensor(basis, dtype=torch.int64), persistent=False)
        self.project_in = nn.Linear(d_latent, dims)
        nn.init.normal_(self.project_in.weight, std=d_latent**-0.5)
        self.project_out = nn.Linear(dims, d_latent)
        self.embeddings = nn.ModuleList()
        if config.digit_embeddings:
            self.embeddings.append(_GroupEmbedding(self.shape, 1, d_latent))
        if config.pair_embeddings and dims > 1:
            self.embeddings.append(_GroupEmbedding(self.shape, 2, d_latent))
        self.groups = _NeighborEmbedding(self.shape, config.group_rows, d_latent) if config.group_rows else None

    def forward(self, latents: Tensor) -> Quantized:
        """(batch, d_latent) -> Quantized; the gradient passes straight through the rounding."""
        with torch.autocast(latents.device.type, enabled=False):
            bins = self.bins(latents)
            digits = digits_of(bins, self.levels)
            centered = self._values(digits)
            soft = (bins / self.levels) * 2 - 1
            values = soft + (centered - soft).detach()
            quantized = self._latents(values, digits)
        return Quantized(
            latents=quantized.to(latents.dtype),
            indices=self.indices_of(digits),
            loss=quantized.new_zeros(()),
            margin=margins_of(bins, digits, self.levels),
        )

    def preactivations(self, latents: Tensor) -> Tensor:
        """(batch, d_latent) -> (batch, dims) fp32, before bounding, divided by the temperature."""
        return linear_fp32(self.project_in, latents) / self.temperature

    def bins(self, latents: Tensor) -> Tensor:
        """(batch, d_latent) -> (batch, dims) fp32 bin coordinates: digit `d` owns the interval (d, d + 1)."""
        return bins_of(self.preactivations(latents), self.shape, self.bound)

    def decode_indices(self, indices: Tensor) -> Tensor:
        """(batch,) int64 -> (batch, d_latent)."""
        with torch.autocast(indices.device.type, enabled=False):
            digits = self.digits(indices)
            return self._latents(self._values(digits), digits).to(self.project_out.weight.dtype)

    def digits(self, indices: Tensor) -> Tensor:
        """(batch,) int64 -> (batch, dims) int64."""
        return (indices[:, None] // self.basis) % self.levels

    def indices_of(self, digits: Tensor) -> Tensor:
        """(batch, dims) int64 -> (batch,) int64."""
        return (digits * self.basis).sum(-1)

    def input_parameters(self) -> Iterator[nn.Parameter]:
        """Return the parameters that make codes out of latents."""
        return self.project_in.parameters()

    def targets(self, digits: Tensor, margin: float) -> tuple[Tensor, Tensor, Tensor]:
        """Return what interval of pre-activations gives each digit with `margin` bins to spare, and how wide a bin is.

        (batch, dims) int64 -> lowest, highest, width, each (batch, dims) fp32. Outermost bins are open to a limit
        that keeps the gradient alive.
        """
        low = preactivation_of(digits + margin, self.shape, self.bound)
        high = preactivation_of(digits + 1 - margin, self.shape, self.bound)
        # The tanh bound cuts the outermost bins in half: they are measured by their neighbors, which lie within reach.
        inner = torch.minimum(digits.clamp(min=1), self.levels - 2).clamp(min=0) if self.bound == "tanh" else digits
        width = preactivation_of(inner + 0.75, self.shape, self.bound) - preactivation_of(
            inner + 0.25, self.shape, self.bound
        )
        low = torch.where(digits == 0, torch.full_like(low, -_LIMIT), low)
        high = torch.where(digits == self.levels - 1, torch.full_like(high, _LIMIT), high)
        return low, high, 2 * width

    def _values(self, digits: Tensor) -> Tensor:
        """Return digits as the centers of their bins in (-1, 1)."""
        return ((digits + 0.5) / self.levels) * 2 - 1

    def _latents(self, values: Tensor, digits: Tensor) -> Tensor:
        """Return the latents of digits, given their values too, in fp32."""
        total: Tensor | float = 0.0
        for embedding in (*self.embeddings, self.groups):
            if embedding is not None:
                total = total + embedding(digits)
        return linear_fp32(self.project_out, values) + total


_LIMIT = 4.0


class _GroupEmbedding(nn.Module):
    """A learned vector for every combination of `size` digits, summed: (batch, dims) -> (batch, width)."""

    offsets: Tensor
    chosen: Tensor
    factors: Tensor

    def __init__(self, levels: Sequence[int], size: int, width: int) -> None:
        super().__init__()
        groups = list(itertools.combinations(range(len(levels)), size))
        sizes = [math.prod(levels[i] for i in group) for group in groups]
        factors = [[math.prod(levels[i] for i in group[:k]) for k in range(size)] for group in groups]
        starts = [sum(sizes[:k]) for k in range(len(sizes))]
        self.register_buffer("chosen", torch.tensor(groups), persistent=False)
        self.register_buffer("factors", torch.tensor(factors), persistent=False)
        self.register_buffer("offsets", torch.tensor(starts), persistent=False)
        self.weight = nn.Parameter(torch.randn(sum(sizes), width) / len(groups) ** 0.5)

    def forward(self, digits: Tensor) -> Tensor:
        rows = (digits[:, self.chosen] * self.factors).sum(-1) + self.offsets
        return functional.embedding_bag(rows, self.weight.float(), mode="sum")


class _NeighborEmbedding(nn.Module):
    """A learned vector for every combination of neighboring digits, at most `rows`: (batch, dims) -> (batch, width).

    A group is seen by few segments, so that what it says is learned in few passes.
    """

    basis: Tensor
    offsets: Tensor

    def __init__(self, levels: Sequence[int], rows: int, width: int) -> None:
        super().__init__()
        groups: list[list[int]] = [[]]
        for dim in reversed(range(len(levels))):
            if groups[-1] and math.prod(levels[i] for i in groups[-1]) * levels[dim] > rows:
                groups.append([])
            groups[-1].insert(0, dim)
        sizes = [math.prod(levels[i] for i in group) for group in groups]
        basis = torch.zeros(len(levels), len(groups), dtype=torch.int64)
        for number, group in enumerate(groups):
            for place, dim in enumerate(group):
                basis[dim, number] = math.prod(levels[i] for i in group[:place])
        self.register_buffer("basis", basis, persistent=False)
        self.register_buffer("offsets", torch.tensor([sum(sizes[:k]) for k in range(len(sizes))]), persistent=False)
        inner = max(1, width // 2)
        self.weight = nn.Parameter(torch.randn(sum(sizes), inner) / 2)
        self.project = nn.Linear(inner * len(groups), width)

    def forward(self, digits: Tensor) -> Tensor:
        rows = (digits[:, :, None] * self.basis).sum(1) + self.offsets
        return linear_fp32(self.project, functional.embedding(rows, self.weight).flatten(1))


def bins_of(preactivations: Tensor, levels: Sequence[int], bound: str) -> Tensor:
    """Bound pre-activations to bin coordinates: digit `d` owns the interval (d, d + 1) of [0, level].

    "sigmoid" gives bins of equal width. "tanh" is the reference formula with its half-step offset for even levels
    (`atanh`, where the paper prints `tan`; its author confirmed it).
    """
    x = preactivations.float()
    count = torch.tensor(levels, dtype=torch.float32, device=x.device)
    if bound == "sigmoid":
        return torch.sigmoid(SIGMOID_SLOPE * x) * count
    half, offset, shift = _reference(levels, x.device)
    # round(b) + level // 2 is the digit: half a bin is added so that flooring does the rounding.
    return torch.tanh(x + shift) * half - offset + (count // 2) + 0.5


def preactivation_of(bins: Tensor, levels: Sequence[int], bound: str) -> Tensor:
    """Return the inverse of `bins_of`, kept finite at the ends."""
    count = torch.tensor(levels, dtype=torch.float32, device=bins.device)
    if bound == "sigmoid":
        return torch.logit((bins / count).clamp(1e-4, 1 - 1e-4)) / SIGMOID_SLOPE
    half, offset, shift = _reference(levels, bins.device)
    scaled = (bins - 0.5 - (count // 2) + offset) / half
    return torch.atanh(scaled.clamp(-1 + 1e-4, 1 - 1e-4)) - shift


def digits_of(bins: Tensor, levels: Tensor) -> Tensor:
    """Floor bin coordinates to digits, (batch, dims) int64; the ends of the range belong to the outermost bins."""
    return torch.minimum(bins.detach().floor().long().clamp(min=0), levels - 1)


def margins_of(bins: Tensor, digits: Tensor, levels: Tensor) -> Tensor:
    """Return for each row how near, in bins, its nearest digit lies to a border with another digit: (batch,)."""
    inside = bins.detach() - digits
    below = torch.where(digits > 0, inside, torch.full_like(inside, 1.0))
    above = torch.where(digits < levels - 1, 1 - inside, torch.full_like(inside, 1.0))
    return torch.minimum(below, above).amin(-1)


def _reference(levels: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    half = [(level - 1) * (1 + _EPS) / 2 for level in levels]
    offset = [0.0 if level % 2 else 0.5 for level in levels]
    shift = [math.atanh(o / h) for o, h in zip(offset, half, strict=True)]
    tensors = [torch.tensor(values, dtype=torch.float32, device=device) for values in (half, offset, shift)]
    return tensors[0], tensors[1], tensors[2]
