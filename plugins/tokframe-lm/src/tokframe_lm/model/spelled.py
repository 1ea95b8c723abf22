"""Embeddings of how an id is spelt: added to a row of its own, and to the rows of its code's digits."""

from __future__ import annotations

import re
from collections import Counter
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tokframe.tokenizer.base import ITokenizer
from tokframe_lm.model.embeddings import Embedding, FactoredLookupEmbedding, learn_only
from tokframe_lm.model.rowsums import RowSums

__all__ = ["FactoredSpelledEmbedding", "SpelledEmbedding"]

_SPREAD = 0.02  # standard deviation of a new row, as that of `lookup`
_ENDS = 3  # bytes looked at from either end
_WORD = re.compile(r"[^\W\d_]+")
_ITERATIONS = 40  # of conjugate gradients


class SpelledEmbedding(Embedding):
    """The sum of a row of the id's own, which begins at zero, and rows that it shares with ids spelt alike.

    Shared are the first one, two and three bytes, the last one, two and three, the words in it whatever their case, its
    shape (" Aa" of " In") and its length; a special token has its own row alone. What may follow a segment depends on
    how it ends, and with such rows that need not be learnt for each id anew (the idea of subword features, Bojanowski
    et al., 2017, for the parts of a token).
    """

    def __init__(self, tokenizer: ITokenizer, *, d_model: int) -> None:
        super().__init__(tokenizer, d_model=d_model)
        self.sums, self.shared = _shared_rows(tokenizer, d_model)
        self.rows = nn.Parameter(torch.zeros(self.vocab_size, d_model))

    def table(self) -> Tensor:
        """Return the rows of all ids (ids, d_model)."""
        found: Tensor = self.sums(self.shared)
        return found + self.rows

    def learn_own(self, which: np.ndarray[Any, Any]) -> None:
        """From now on train the rows of an id's own only where `which` (ids,) is True."""
        learn_only(self.rows, which)

    @torch.no_grad()
    def fit(self, table: Tensor) -> None:
        """Let each id's own row make up what the shared rows lack: exact."""
        self.rows.copy_(table - self.sums(self.shared))


class FactoredSpelledEmbedding(FactoredLookupEmbedding):
    """The sum of rows per digit of an id's code, of the rows of `spelled` that ids share, and of a row of the id's own.

    The own rows begin at zero. Raises: UnsupportedError where the tokenizer has no codes made of digits.
    """

    def __init__(self, tokenizer: ITokenizer, *, d_model: int) -> None:
        super().__init__(tokenizer, d_model=d_model)
        self.sums, self.shared = _shared_rows(tokenizer, d_model)

    def table(self) -> Tensor:
        """Return the rows of all ids (ids, d_model)."""
        found: Tensor = self.sums(self.shared)
        return super().table() + found

    def fit(self, table: Tensor) -> None:
        """Set the shared rows near the least-squares solution and let each id's own row make up the rest: exact.

        Near it by forty steps of conjugate gradients; each column is a problem by itself (Hestenes and Stiefel, 1952).
        """
        with torch.no_grad():
            self.rows.zero_()
        kind = table.dtype
        table = table.double()
        self.double()  # sums over thousands of ids: single precision stops far from the solution
        rows: list[Tensor] = [self.factors, self.shared]

        def spread(of: Tensor) -> list[Tensor]:  # what each row has to answer for; the table is linear in the rows
            with torch.enable_grad():
                return list(torch.autograd.grad(self.table(), rows, of))

        def dot(a: list[Tensor], b: list[Tensor]) -> Tensor:
            return torch.stack([(x * y).sum(0) for x, y in zip(a, b, strict=True)]).sum(0)

        members = [count.clamp(min=1.0) for count in spread(torch.ones_like(table))]  # of few or of thousands of ids
        missing = table - self.table().detach()
        kept = [row.detach().clone() for row in rows]
        slope = spread(missing)
        eased = [value / count for value, count in zip(slope, members, strict=True)]
        step, size = eased, dot(slope, eased)
        enough = 1e-14 * size
        for _ in range(_ITERATIONS):
            if bool((size <= enough).all()):
                break
            with torch.no_grad():
                for row, direction in zip(rows, step, strict=True):
                    row.copy_(direction)
                change = self.table()
                length = size / (change * change).sum(0).clamp(min=1e-30)
                kept = [row + length * direction for row, direction in zip(kept, step, strict=True)]
                missing -= length * change
            slope = spread(missing)
            eased = [value / count for value, count in zip(slope, members, strict=True)]
            before, size = size, dot(slope, eased)
            step = [new + (size / before.clamp(min=1e-30)) * old for new, old in zip(eased, step, strict=True)]
        with torch.no_grad():
            for row, found in zip(rows, kept, strict=True):
                row.copy_(found)
        self.to(kind)
        with torch.no_grad():
            self.rows.copy_(table.to(kind) - self.table())


def _shared_rows(tokenizer: ITokenizer, d_model: int) -> tuple[RowSums, nn.Parameter]:
    """Return which shared rows each id is the sum of, and those rows as they begin."""
    texts = [tokenizer.token_bytes(token) for token in range(tokenizer.vocab_size)]
    for token in tokenizer.special_tokens.values():
        texts[token] = b""
    spelt = [_features(text) for text in texts]
    counts = Counter(feature for features in spelt for feature in features)
    # what one id alone has is in its own row, or told by the rest
    shared = {feature: place for place, feature in enumerate(sorted(f for f, count in counts.items() if count > 1))}
    sums = RowSums([[shared[f] for f in features if f in shared] for features in spelt], len(shared))
    width = len(_features(b" "))
    return sums, nn.Parameter(torch.randn(len(shared), d_model) * (_SPREAD / width**0.5))


def _features(text: bytes) -> list[tuple[str, bytes]]:
    """Return what a byte string shares with others, (kind, bytes): nothing of no bytes."""
    if not text:
        return []
    sizes = range(1, _ENDS + 1)
    ends = [(f"first {size}", text[:size]) for size in sizes] + [(f"last {size}", text[-size:]) for size in sizes]
    characters = text.decode("utf-8", "replace")
    words = {("word", word.lower().encode()) for word in _WORD.findall(characters)}
    return [*ends, *sorted(words), ("shape", _shape(characters)), ("length", bytes([min(len(text), 255)]))]


def _shape(text: str) -> bytes:
    """Return kinds of characters, a run of one kind as one: `" In 1912,"` is as `" Aa 0,"`."""
    kinds = ("A" if c.isupper() else "a" if c.isalpha() else "0" if c.isdigit() else c for c in text)
    return "".join(kind for kind, _ in groupby(kinds)).encode()
