"""Embeddings tied to the output logits: each id's row is the sum of rows for features that it shares with other ids.

Features are the digits of the id's code, the spelling of its bytes, and a row of its own.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import reduce
from itertools import groupby
from typing import Any, ClassVar, TypeGuard

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tokframe.errors import UnsupportedError
from tokframe.plugins.protocols import HasCodes
from tokframe.tokenizer.base import ITokenizer
from tokframe_lm.model.rowsums import RowSums, least_squares

__all__ = [
    "Embedding",
    "FactoredEmbedding",
    "FactoredLookupEmbedding",
    "FactoredSpelledEmbedding",
    "LookupEmbedding",
    "SpelledEmbedding",
    "has_codes",
]

_SPREAD = 0.02  # standard deviation of a new row, as in GPT-2 and Llama
_END_BYTES = 3  # bytes compared at either end of a segment
_WORD = re.compile(r"[^\W\d_]+")
#: feature -> name of its parameter in saved models
_PARAMETERS = {"digits": "factors", "spelling": "shared", "own": "rows"}


class Embedding(nn.Module):
    """A table (ids, d_model) with a bias per id: `forward` looks rows up, `logits` multiplies by all of them.

    Subclasses name the `features` whose rows are added up. One that `needs_codes` cannot be used with a tokenizer
    without codes made of digits; `fallback` is the registered embedding to use there, None if there is none.
    Raises: UnsupportedError where the tokenizer lacks the codes.
    """

    features: ClassVar[tuple[str, ...]] = ("own",)
    needs_codes: ClassVar[bool] = False
    fallback: ClassVar[str | None] = None

    def __init__(self, tokenizer: ITokenizer, *, d_model: int) -> None:
        super().__init__()
        self.vocab_size, self.d_model = tokenizer.vocab_size, d_model
        # id frequencies: shared rows could not express them
        self.bias = nn.Parameter(torch.zeros(self.vocab_size))
        self.sums = nn.ModuleDict()
        for feature in self.features:
            if feature == "own":  # zeros beside shared rows, so that an unseen id is what those say
                spread = 0.0 if len(self.features) > 1 else _SPREAD
                rows = torch.randn(self.vocab_size, d_model) if spread else torch.zeros(self.vocab_size, d_model)
            else:
                parts, count, terms = _PARTS[feature](tokenizer)
                self.sums[feature] = RowSums(parts, count)
                rows, spread = torch.randn(count, d_model), _SPREAD / terms**0.5
            self.register_parameter(_PARAMETERS[feature], nn.Parameter(rows * spread if spread else rows))

    def table(self) -> Tensor:
        """Return the rows of all ids (ids, d_model)."""
        return reduce(torch.add, map(self._rows, self.features))

    def forward(self, ids: Tensor, table: Tensor | None = None) -> Tensor:
        """Return the vectors of ids: (batch, tokens) -> (batch, tokens, d_model)."""
        return functional.embedding(ids, self.table() if table is None else table)

    def logits(self, states: Tensor, table: Tensor | None = None) -> Tensor:
        """Return the logits of all ids: (..., d_model) -> (..., ids)."""
        return functional.linear(states, self.table() if table is None else table, self.bias)

    @torch.no_grad()
    def fit(self, table: Tensor) -> None:
        """Set the parameters so that `table()` is as near to `table` (ids, d_model) as possible, in least squares.

        Shared rows express what they can, own rows the rest: with own rows the fit is exact.
        """
        if self.sums:
            solutions = least_squares(list(self.sums.values()), table)  # type: ignore[arg-type]  # all are RowSums
            for feature, rows in zip(self.sums, solutions, strict=True):
                self._parameter(feature).copy_(rows)
        if "own" in self.features:
            self._parameter("own").zero_()
            self._parameter("own").copy_(table - self.table())

    @torch.no_grad()
    def set_unigram_bias(self, counts: np.ndarray[Any, Any]) -> None:
        """Set the biases to the log-probabilities of ids with these counts (ids,).

        One is added to each count (Laplace's rule): text of another kind holds more unseen ids than Good-Turing allows.
        """
        smoothed = counts + 1.0
        self.bias.copy_(torch.from_numpy(np.log(smoothed / smoothed.sum())))

    def train_own_rows(self, which: np.ndarray[Any, Any]) -> None:
        """Train an id's own row only where `which` (ids,) is True; the others get no gradient.

        The own row of an id that training rarely shows fits mostly noise; its shared rows generalize. Does nothing
        where ids do not have own rows beside shared ones.
        """
        if "own" in self.features and self.sums:
            weights = torch.from_numpy(which.astype(np.float32))[:, None]
            self._parameter("own").register_hook(  # type: ignore[no-untyped-call]  # torch has no types there
                lambda gradient: gradient * weights.to(gradient)
            )

    def _parameter(self, feature: str) -> nn.Parameter:
        return self.get_parameter(_PARAMETERS[feature])

    def _rows(self, feature: str) -> Tensor:
        rows: Tensor = self._parameter(feature)
        return self.sums[feature](rows) if feature in self.sums else rows


class LookupEmbedding(Embedding):
    """One row per id."""


class FactoredEmbedding(Embedding):
    """The sum of one row per digit of an id's code: 55 rows in place of 32,768 for levels 8,8,8,8,8,5,5,5."""

    features = ("digits",)
    needs_codes = True


class FactoredLookupEmbedding(Embedding):
    """Digits and an own row, which begins at zero."""

    features = ("digits", "own")
    needs_codes = True
    fallback = "lookup"


class SpelledEmbedding(Embedding):
    """An own row, which begins at zero, and rows shared by ids that are spelled alike.

    Which id follows a segment depends on how it ends; shared rows learn that for all such ids at once (the idea of
    subword features, Bojanowski et al., 2017, for the parts of a token).
    """

    features = ("spelling", "own")


class FactoredSpelledEmbedding(Embedding):
    """Digits, spelling and an own row, which begins at zero."""

    features = ("digits", "own", "spelling")
    needs_codes = True
    fallback = "spelled"


def has_codes(tokenizer: ITokenizer) -> TypeGuard[HasCodes]:
    """Return whether the ids of a tokenizer have codes made of digits."""
    return isinstance(tokenizer, HasCodes) and bool(tokenizer.levels)


def _digit_parts(tokenizer: ITokenizer) -> tuple[list[list[int]], int, int]:
    """Return the shared rows of each id, their number, and how many make up a row; an id without a code has its own.

    Raises: UnsupportedError where the tokenizer has no codes made of digits.
    """
    if not has_codes(tokenizer):
        raise UnsupportedError(
            f"{tokenizer.name or type(tokenizer).__name__!r} has no codes made of digits, which a factored embedding "
            'adds up. Use {"embedding": "lookup"} in the config, or a tokenizer that has codes, such as '
            "autoencoder-fsq",
            capability="digits",
        )
    levels, digits = tokenizer.levels, tokenizer.digits()
    coded = digits[:, 0] >= 0
    first = np.cumsum([0, *levels])
    parts: list[list[int]] = (digits + first[:-1]).tolist()
    for number, token in enumerate(np.flatnonzero(~coded).tolist()):
        parts[token] = [int(first[-1]) + number]
    return parts, int(first[-1]) + int((~coded).sum()), len(levels)


def _spelling_parts(tokenizer: ITokenizer) -> tuple[list[list[int]], int, int]:
    """Return the shared rows of each id, none for one without text, their number, and how many make up a row."""
    texts = [tokenizer.token_bytes(token) for token in range(tokenizer.vocab_size)]
    for token in tokenizer.textless_ids:
        texts[token] = b""
    spelled = [_spelling(text) for text in texts]
    counts = Counter(feature for features in spelled for feature in features)
    # what only one id has is in its own row
    shared = {feature: row for row, feature in enumerate(sorted(f for f, count in counts.items() if count > 1))}
    return [[shared[f] for f in features if f in shared] for features in spelled], len(shared), len(_spelling(b" "))


def _spelling(text: bytes) -> list[tuple[str, bytes]]:
    """Return the spelling features of a byte string as (kind, bytes), none for an empty one.

    They are its first and last one, two and three bytes, its words in lower case, its shape and its length.
    """
    if not text:
        return []
    sizes = range(1, _END_BYTES + 1)
    ends = [(f"first {size}", text[:size]) for size in sizes] + [(f"last {size}", text[-size:]) for size in sizes]
    characters = text.decode("utf-8", "replace")
    words = {("word", word.lower().encode()) for word in _WORD.findall(characters)}
    return [*ends, *sorted(words), ("shape", _shape(characters)), ("length", bytes([min(len(text), 255)]))]


def _shape(text: str) -> bytes:
    """Return the kinds of characters, runs collapsed: `" In 1912,"` gives `" Aa 0,"`."""
    kinds = ("A" if c.isupper() else "a" if c.isalpha() else "0" if c.isdigit() else c for c in text)
    return "".join(kind for kind, _ in groupby(kinds)).encode()


_PARTS = {"digits": _digit_parts, "spelling": _spelling_parts}
