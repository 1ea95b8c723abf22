"""FusedFSQ: latents to codes and codes to latents in few passes over memory. Training uses `fsq`."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from tokframe_autoencoder.network.fsq import FSQ, SIGMOID_SLOPE, bins_of

__all__ = ["FusedFSQ"]

#: Whole numbers up to here are exact in fp32, whatever the order in which they are summed.
MAX_EXACT_FP32 = 1 << 24


class FusedFSQ:
    """The kernel of one trained FSQ, fixed when it is made: later changes of the weights do not reach it."""

    @torch.no_grad()
    def __init__(self, quantizer: FSQ) -> None:
        self.shape = quantizer.shape
        self.codebook_size = quantizer.codebook_size
        self._bound = quantizer.bound
        self._temperature = quantizer.temperature
        self._weight = quantizer.project_in.weight.detach().float().clone()
        self._bias = quantizer.project_in.bias.detach().float().clone()
        device = self._weight.device
        self._count = torch.tensor(self.shape, dtype=torch.float32, device=device)
        self._last = self._count - 1
        self._inner_first, self._inner_last = torch.full_like(self._last, 0.5), self._last + 0.5
        kind = torch.float32 if self.codebook_size <= MAX_EXACT_FP32 else torch.int64
        self._basis = quantizer.basis.to(kind)
        self._dtype = quantizer.project_out.weight.dtype
        self._groups, self._digits = copy.deepcopy(quantizer.groups), quantizer.digits
        self._build_table(quantizer)

    @torch.inference_mode()
    def codes_and_margins(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, d_latent) -> codes and how near the nearest border is, 0 to 0.5 bins, each (batch,)."""
        bins = self._bins(latents)
        inner = torch.clamp(bins, self._inner_first, self._inner_last)  # beyond the outermost bins is no border
        margins = inner.sub_(inner.round()).abs_().amin(-1)
        return self._index(bins), margins

    @torch.inference_mode()
    def latents(self, codes: Tensor) -> Tensor:
        """(batch,) int64 -> (batch, d_latent): the quantizer's up to rounding error of the sum."""
        # A group's row is found from the code alone, as the digits before and after it do not matter.
        rows = (codes[:, None] // self._divisors) % self._moduli
        rows = rows * self._moduli_b + (codes[:, None] // self._divisors_b) % self._moduli_b
        rows += self._starts
        summed = functional.embedding_bag(rows, self._table, mode="sum")
        if self._groups is not None:
            summed += self._groups(self._digits(codes))
        return summed.to(self._dtype)

    def _bins(self, latents: Tensor) -> Tensor:
        with torch.autocast(latents.device.type, enabled=False):
            x = functional.linear(latents.float(), self._weight, self._bias)
            if self._temperature != 1.0:
                x.div_(self._temperature)
            if self._bound == "sigmoid":
                return x.mul_(SIGMOID_SLOPE).sigmoid_().mul_(self._count)
            return bins_of(x, self.shape, self._bound)

    def _index(self, bins: Tensor) -> Tensor:
        # No number means digit 0, as it does where the plain form makes integers of it.
        digits = bins.floor_().nan_to_num_(nan=0.0).clamp_(min=0).minimum(self._last)
        if self._basis.dtype == torch.float32:
            return (digits @ self._basis).long()
        return (digits.long() * self._basis).sum(-1)

    def _build_table(self, quantizer: FSQ) -> None:
        """Fold projection, digit and pair vectors into one table: a row for each pair of digits, all rows summed."""
        dims = len(self.shape)
        # A quantizer of one dimension pairs its digit with a second one that is always 0.
        pairs = list(itertools.combinations(range(dims), 2)) or [(0, 0)]
        first, second = torch.tensor(pairs, device=self._weight.device).T
        self._divisors, self._divisors_b = quantizer.basis[first], quantizer.basis[second]
        self._moduli = quantizer.levels[first]
        self._moduli_b = torch.where(first == second, 1, quantizer.levels[second])
        sizes = (self._moduli * self._moduli_b).tolist()
        starts = [0, *itertools.accumulate(sizes[:-1])]
        self._starts = torch.tensor(starts, device=self._weight.device)
        embeddings: list[Any] = list(quantizer.embeddings)
        learned = {e.chosen.shape[1]: e.weight.detach().float() for e in embeddings}  # by the size of groups
        single = self._single_rows(quantizer, learned.get(1))
        parts: list[Tensor] = []
        for (a, b), n, start, size in zip(pairs, self._moduli.tolist(), starts, sizes, strict=True):
            # Ordered as first digit * m + second; the trained table has the first digit fastest.
            part = torch.zeros(n, size // n, single[0].shape[1], device=self._weight.device)
            if 2 in learned:
                part += learned[2][start : start + size].view(size // n, n, -1).transpose(0, 1)
            if not parts:
                part += single[0][:, None] + quantizer.project_out.bias.detach().float()
            if a == 0 < b:
                part += single[b]
            parts.append(part.flatten(0, 1))
        self._table = torch.cat(parts)

    def _single_rows(self, quantizer: FSQ, learned: Tensor | None) -> list[Tensor]:
        """Return, for each dimension, what each of its digits adds to the latent alone: (level, d_latent)."""
        weight = quantizer.project_out.weight.detach().float()
        found = []
        for dim, level in enumerate(self.shape):
            values = (torch.arange(level, device=weight.device) + 0.5) / level * 2 - 1
            found.append(values[:, None] * weight[:, dim])
        if learned is not None:
            found = [rows + more for rows, more in zip(found, torch.split(learned, list(self.shape)), strict=True)]
        return found
