"""Canonical penalty: logits of ids that the tokenizer never puts after the id before are lowered.

A model over tokens gives some of its probability to sequences that no text is encoded to. The tokenizer knows these
pairs (`impossible_pairs`), so that part is shared among the rest (Vieira et al., 2025, "Language models over canonical
byte-pair encodings").
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tokframe.tokenizer.bigrams import ImpossiblePairs

__all__ = ["Impossible", "penalize"]

#: Nats subtracted from the logit of an id that cannot follow. Finite: at the edge of a block it can, and a text must
#: cost a finite number of bits.
_PENALTY_NATS = 10.0


class Impossible(nn.Module):
    """The impossible pairs of a tokenizer as buffers."""

    starts: Tensor
    ranges: Tensor
    slices: Tensor
    members: Tensor

    def __init__(self, pairs: ImpossiblePairs) -> None:
        super().__init__()
        self.pairs = pairs
        for name in ("starts", "ranges", "slices", "members"):
            self.register_buffer(name, torch.from_numpy(getattr(pairs, name)), persistent=False)

    def list_key(self, token: int) -> bytes:
        """Return what is the same for ids after which the same ids cannot come."""
        return self.pairs.ranges[self.pairs.starts[token] : self.pairs.starts[token + 1]].tobytes()

    def positions(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Return row and column of each logit to penalize after ids (rows,), by row; a pair may occur twice."""
        rows, ranges = _spread(self.starts[ids], self.starts[ids + 1])
        owners, slices = _spread(*self.ranges[ranges].unbind(1))
        rows = rows[owners]
        owners, members = _spread(*self.slices[slices].unbind(1))
        return rows[owners], self.members[members]

    def forward(self, logits: Tensor, ids: Tensor) -> Tensor:
        """Return the logits (..., ids) that follow ids (...), penalized where an id cannot follow."""
        with torch.no_grad():
            rows, members = self.positions(ids.flatten())
            penalty = logits.new_zeros(logits.shape).view(-1, logits.shape[-1])
            penalize(penalty, rows, members)
        return logits + penalty.view_as(logits)


def penalize(logits: Tensor, rows: Tensor, members: Tensor) -> None:
    """Lower logits (rows, ids) at positions, in place; a position that occurs twice is lowered once."""
    logits[rows, members] = logits[rows, members] - _PENALTY_NATS


def _spread(starts: Tensor, stops: Tensor) -> tuple[Tensor, Tensor]:
    """Return the numbers from each start to its stop, concatenated, and which start each belongs to."""
    lengths = stops - starts
    owners = torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)
    before = torch.cumsum(lengths, 0) - lengths
    numbers = torch.arange(len(owners), device=lengths.device) + (starts - before)[owners]
    return owners, numbers
