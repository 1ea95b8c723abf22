"""Ids to vectors and vectors to scores of ids, tied: one row per id, or a sum over the digits of its FSQ code."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tokframe.errors import UnsupportedError
from tokframe.tokenizer.base import ITokenizer

__all__ = ["Embedding", "FactoredEmbedding", "FactoredLookupEmbedding", "LookupEmbedding", "has_digits", "learn_only"]

_SPREAD = 0.02  # standard deviation of a new row, as GPT-2 and Llama have it


class Embedding(nn.Module):
    """A table (ids, d_model) with a bias per id: `forward` looks rows up, `scores` multiplies by all of them."""

    bias: nn.Parameter

    def __init__(self, tokenizer: ITokenizer, *, d_model: int) -> None:
        super().__init__()
        self.vocab_size, self.d_model = tokenizer.vocab_size, d_model
        # Frequencies of ids: without it a factored table, whose rows share their parts, could not tell them.
        self.bias = nn.Parameter(torch.zeros(self.vocab_size))

    def table(self) -> Tensor:
        """Return the rows of all ids (ids, d_model)."""
        raise NotImplementedError

    def fit(self, table: Tensor) -> None:
        """Set the parameters so that `table()` is as near to `table` (ids, d_model) as it can be, in least squares."""
        raise NotImplementedError

    def forward(self, ids: Tensor, table: Tensor | None = None) -> Tensor:
        """Return the vectors of ids: (batch, tokens) -> (batch, tokens, d_model)."""
        return functional.embedding(ids, self.table() if table is None else table)

    @torch.no_grad()
    def begin_at(self, counts: np.ndarray[Any, Any]) -> None:
        """Set the biases to the log-probabilities that counts (ids,) tell, so that training need not find them.

        One is added to each count (Laplace's rule): text of another kind holds more unseen ids than Good-Turing allows.
        """
        smoothed = counts + 1.0
        self.bias.copy_(torch.from_numpy(np.log(smoothed / smoothed.sum())))

    def learn_own(self, which: np.ndarray[Any, Any]) -> None:
        """From now on train the rows of an id's own only where `which` (ids,) is True; the others stay as they are.

        Of an id that training hardly shows, a row of its own learns little but noise; what it shares with others tells
        more. Does nothing where ids have no rows of their own beside shared ones.
        """

    def scores(self, vectors: Tensor, table: Tensor | None = None) -> Tensor:
        """Return unnormalized log-probabilities: (..., d_model) -> (..., ids)."""
        return functional.linear(vectors, self.table() if table is None else table, self.bias)


class LookupEmbedding(Embedding):
    """One row per id."""

    def __init__(self, tokenizer: ITokenizer, *, d_model: int) -> None:
        super().__init__(tokenizer, d_model=d_model)
        self.rows = nn.Parameter(torch.randn(self.vocab_size, d_model) * _SPREAD)

    def table(self) -> Tensor:
        """Return the rows of all ids (ids, d_model)."""
        return self.rows

    @torch.no_grad()
    def fit(self, table: Tensor) -> None:
        """Take the rows as they are."""
        self.rows.copy_(table)


class FactoredEmbedding(Embedding):
    """The sum of one row per digit of an id's code; an id without a code has a row of its own.

    For levels 8,8,8,8,8,5,5,5 that is 55 rows in place of 32,768. Raises: UnsupportedError where the tokenizer has
    no codes made of digits.
    """

    digits: Tensor

    def __init__(self, tokenizer: ITokenizer, *, d_model: int) -> None:
        super().__init__(tokenizer, d_model=d_model)
        levels, digits = _digits(tokenizer)
        coded = digits[:, 0] >= 0
        first = np.concatenate([[0], np.cumsum(levels)])
        # ids without a code: their own row, then a row of zeros for the digits that they do not have
        own, nothing = int(first[-1]), int(first[-1]) + int((~coded).sum())
        places = np.full(digits.shape, nothing, np.int64)
        places[coded] = digits[coded] + first[:-1]
        places[~coded, 0] = own + np.arange(int((~coded).sum()))
        self.register_buffer("digits", torch.from_numpy(places), persistent=False)
        spread = _SPREAD / len(levels) ** 0.5
        self.factors = nn.Parameter(torch.randn(nothing, d_model) * spread)

    def table(self) -> Tensor:
        """Return the rows of all ids (ids, d_model)."""
        padded = functional.pad(self.factors, (0, 0, 0, 1))
        return functional.embedding_bag(self.digits, padded, mode="sum")

    @torch.no_grad()
    def fit(self, table: Tensor) -> None:
        """Set the digits' rows by least squares; an id without a code takes its row as it is."""
        count = len(self.factors)
        which = torch.zeros(self.vocab_size, count + 1)
        which.scatter_(1, self.digits, 1.0)
        # The digits of a dimension add up to 1, so many solutions are as near: gelsd takes the smallest.
        solution = torch.linalg.lstsq(which[:, :count].double(), table.double(), driver="gelsd").solution
        self.factors.copy_(solution)


class FactoredLookupEmbedding(FactoredEmbedding):
    """Digits and a row per id added up; the rows begin at zero, so that an unseen id is what its digits say."""

    def __init__(self, tokenizer: ITokenizer, *, d_model: int) -> None:
        super().__init__(tokenizer, d_model=d_model)
        self.rows = nn.Parameter(torch.zeros(self.vocab_size, d_model))

    def table(self) -> Tensor:
        """Return the rows of all ids (ids, d_model)."""
        return super().table() + self.rows

    def learn_own(self, which: np.ndarray[Any, Any]) -> None:
        """From now on train the rows of an id's own only where `which` (ids,) is True."""
        learn_only(self.rows, which)

    @torch.no_grad()
    def fit(self, table: Tensor) -> None:
        """Set the digits' rows by least squares and let each id's own row make up what is missing: exact."""
        super().fit(table)
        self.rows.copy_(table - super().table())


def learn_only(rows: nn.Parameter, which: np.ndarray[Any, Any]) -> None:
    """Have rows (n, d_model) learn only where `which` (n,) is True: the others get no gradient."""
    weights = torch.from_numpy(which.astype(np.float32))[:, None]
    rows.register_hook(lambda gradient: gradient * weights.to(gradient))  # type: ignore[no-untyped-call]


def has_digits(tokenizer: ITokenizer) -> bool:
    """Whether the ids of a tokenizer have codes made of digits, which a factored embedding adds up."""
    try:
        return bool(getattr(tokenizer, "levels", ()))
    except UnsupportedError:
        return False


def _digits(tokenizer: ITokenizer) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return levels and digits (ids, dimensions), -1 where an id has no code. Raises: UnsupportedError."""
    source: Any = tokenizer
    try:
        return np.asarray(source.levels, np.int64), np.asarray(source.digits(), np.int64)
    except (AttributeError, UnsupportedError):
        raise UnsupportedError(
            f"{tokenizer.name or type(tokenizer).__name__!r} has no codes made of digits, so a factored embedding has "
            'nothing to add up. Say {"embedding": "lookup"} in the config, or take a tokenizer that has codes, such '
            "as autoencoder-fsq",
            capability="digits",
        ) from None
