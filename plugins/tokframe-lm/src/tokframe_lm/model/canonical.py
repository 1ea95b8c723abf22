"""Scores without what cannot follow: ids that the tokenizer never puts after the one before are made very unlikely.

A model over tokens gives some of its probability to sequences that no text is encoded to. Which pairs these are a
tokenizer knows (`impossible_pairs`), so that part is shared among the rest (Vieira et al., 2025, "Language models over
canonical byte-pair encodings").
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tokframe.tokenizer.bigrams import ImpossiblePairs

__all__ = ["Impossible"]

#: Nats taken from the score of an id that cannot follow. Not infinite: at the edge of a block one can, and a text must
#: cost a finite number of bits.
_TAKEN = 10.0


class Impossible(nn.Module):
    """The impossible pairs of a tokenizer as buffers."""

    starts: Tensor
    ranges: Tensor
    slices: Tensor
    members: Tensor

    def __init__(self, pairs: ImpossiblePairs) -> None:
        super().__init__()
        for name in ("starts", "ranges", "slices", "members"):
            self.register_buffer(name, torch.from_numpy(getattr(pairs, name)), persistent=False)

    def places(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Return which scores to lower after ids (rows,): rows in order, and the id of each; some stand there twice."""
        rows, ranges = _spread(self.starts[ids], self.starts[ids + 1])
        owners, slices = _spread(*self.ranges[ranges].unbind(1))
        rows = rows[owners]
        owners, members = _spread(*self.slices[slices].unbind(1))
        return rows[owners], self.members[members]

    def forward(self, scores: Tensor, ids: Tensor) -> Tensor:
        """Return the scores that follow ids: (..., ids) after (...), lowered where they cannot."""
        with torch.no_grad():
            rows, members = self.places(ids.flatten())
            lowered = scores.new_zeros(scores.shape).view(-1, scores.shape[-1])
            lower(lowered, rows, members)
        return scores + lowered.view_as(scores)


def lower(scores: Tensor, rows: Tensor, members: Tensor) -> None:
    """Lower, in place, the scores (rows, ids) at places, once each however often a place is named."""
    scores[rows, members] = scores[rows, members] - _TAKEN


def _spread(starts: Tensor, stops: Tensor) -> tuple[Tensor, Tensor]:
    """Return the numbers from each start to its stop, one after the other, and which start each belongs to."""
    lengths = stops - starts
    owners = torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)
    before = torch.cumsum(lengths, 0) - lengths
    numbers = torch.arange(len(owners), device=lengths.device) + (starts - before)[owners]
    return owners, numbers
