"""The embedding `spelled`: how an id's bytes begin and end, added to a row of its own; for any tokenizer."""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor, nn

from tokframe.interfaces import ITokenizer
from tokframe_lm.embeddings import Embedding
from tokframe_lm.rowsums import RowSums

__all__ = ["SpelledEmbedding"]

_SPREAD = 0.02  # standard deviation of a new row, as that of `lookup`
_ENDS = 3  # bytes looked at from either end


class SpelledEmbedding(Embedding):
    """The sum of a row of the id's own, which begins at zero, and rows that it shares with ids spelt alike.

    Shared are the first one, two and three bytes, the last one, two and three, and the length; a special token has its
    own row alone. What may follow a segment depends on how it ends, and with such rows that need not be learnt for each
    id anew (the idea of subword features, Bojanowski et al., 2017, at the ends of a token).
    """

    def __init__(self, tokenizer: ITokenizer, *, d_model: int) -> None:
        super().__init__(tokenizer, d_model=d_model)
        texts = [tokenizer.token_bytes(token) for token in range(self.vocab_size)]
        for token in tokenizer.special_tokens.values():
            texts[token] = b""
        spelt = [_features(text) for text in texts]
        counts = Counter(feature for features in spelt for feature in features)
        # what one id alone has is in its own row already
        shared = {feature: place for place, feature in enumerate(sorted(f for f, count in counts.items() if count > 1))}
        self.sums = RowSums([[shared[f] for f in features if f in shared] for features in spelt], len(shared))
        width = len(_features(b" "))
        self.shared = nn.Parameter(torch.randn(len(shared), d_model) * (_SPREAD / width**0.5))
        self.rows = nn.Parameter(torch.zeros(self.vocab_size, d_model))

    def table(self) -> Tensor:
        """Return the rows of all ids (ids, d_model)."""
        found: Tensor = self.sums(self.shared)
        return found + self.rows

    @torch.no_grad()
    def fit(self, table: Tensor) -> None:
        """Let each id's own row make up what the shared rows lack: exact."""
        self.rows.copy_(table - self.sums(self.shared))


def _features(text: bytes) -> list[tuple[str, bytes]]:
    """Return what a byte string shares with others, (kind, bytes): nothing of no bytes."""
    if not text:
        return []
    sizes = range(1, _ENDS + 1)
    found = [(f"first {size}", text[:size]) for size in sizes] + [(f"last {size}", text[-size:]) for size in sizes]
    return [*found, ("length", bytes([min(len(text), 255)]))]
