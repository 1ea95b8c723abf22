"""Embeddings: each id's vector is the sum of rows for features that ids share; a head may be tied to them.

Features are the digits of the id's code, the spelling of its bytes, a row of its own, and, projected, vectors that the
tokenizer ships or the latents of its network, both frozen.
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
from tokframe.plugins.discovery import host
from tokframe.plugins.protocols import HasCodes, HasNetwork, HasVectors
from tokframe.plugins.registry import load_target
from tokframe.storage.advice import FIRST_PARTY
from tokframe.tokenizer.base import ITokenizer
from tokframe_lm.model.rowsums import RowSums, least_squares

__all__ = [
    "Embedding",
    "EncoderEmbedding",
    "FactoredEmbedding",
    "FactoredLookupEmbedding",
    "FactoredSpelledEmbedding",
    "LookupEmbedding",
    "SpelledEmbedding",
    "VectorsEmbedding",
    "embedding_class",
    "suited",
]

_SPREAD = 0.02  # standard deviation of a new row, as in GPT-2 and Llama
_END_BYTES = 3  # bytes compared at either end of a segment
_WORD = re.compile(r"[^\W\d_]+")
#: feature -> name of its parameter in saved models
_PARAMETERS = {"digits": "factors", "spelling": "shared", "own": "rows", "vectors": "vectors", "encoder": "encoder"}


class Embedding(nn.Module):
    """A table (ids, d_model) with a bias per id: `forward` looks rows up, `logits` multiplies by all of them.

    Subclasses name the `features` whose rows are added up. One whose `missing` names something cannot be used with the
    tokenizer; `fallback` is the registered embedding to use there, None if there is none.
    Raises: UnsupportedError where the tokenizer lacks what a feature needs.
    """

    features: ClassVar[tuple[str, ...]] = ("own",)
    fallback: ClassVar[str | None] = None

    def __init__(self, tokenizer: ITokenizer, *, d_model: int) -> None:
        super().__init__()
        self.vocab_size, self.d_model = tokenizer.vocab_size, d_model
        self._textless = sorted(tokenizer.textless_ids)
        # id frequencies: shared rows could not express them
        self.bias = nn.Parameter(torch.zeros(self.vocab_size))
        self.sums = nn.ModuleDict()
        self._row_numbers: Tensor | None = None
        for feature in self.features:
            if feature == "own":  # zeros beside shared rows, so that an unseen id is what those say
                spread = 0.0 if len(self.features) > 1 else _SPREAD
                rows = torch.randn(self.vocab_size, d_model) if spread else torch.zeros(self.vocab_size, d_model)
            elif feature in _FROZEN:
                frozen = _FROZEN[feature](tokenizer)
                self.register_buffer(f"frozen_{feature}", frozen, persistent=False)
                rows, spread = torch.randn(frozen.shape[1], d_model), _SPREAD / frozen.shape[1] ** 0.5
            else:
                parts, count, terms = _PARTS[feature](tokenizer)
                self.sums[feature] = RowSums(parts, count)
                rows, spread = torch.randn(count, d_model), _SPREAD / terms**0.5
            self.register_parameter(_PARAMETERS[feature], nn.Parameter(rows * spread if spread else rows))

    @classmethod
    def missing(cls, tokenizer: ITokenizer) -> str:
        """Return what the tokenizer lacks that a feature needs, empty if nothing."""
        if "digits" in cls.features and not has_codes(tokenizer):
            return "codes made of digits"
        if "vectors" in cls.features and _shipped_vectors(tokenizer) is None:
            return "shipped vectors"
        if "encoder" in cls.features and not (has_codes(tokenizer) and isinstance(tokenizer, HasNetwork)):
            return "a network"
        return ""

    def untie(self) -> None:
        """Leave the output to a head: no bias is needed."""
        self.bias = None  # type: ignore[assignment]  # of a head that is tied, which asks for it

    def table(self) -> Tensor:
        """Return the rows of all ids (ids, d_model)."""
        return reduce(torch.add, map(self._rows, self.features))

    def forward(self, ids: Tensor, table: Tensor | None = None) -> Tensor:
        """Return the vectors of ids: (batch, tokens) -> (batch, tokens, d_model); without a table only of those."""
        if table is not None:
            return functional.embedding(ids, table)
        different, places = torch.unique(ids, return_inverse=True)
        return functional.embedding(places, reduce(torch.add, (self._rows(f, different) for f in self.features)))

    def logits(self, states: Tensor, table: Tensor | None = None) -> Tensor:
        """Return the logits of all ids: (..., d_model) -> (..., ids)."""
        return functional.linear(states, self.table() if table is None else table, self.bias)

    @torch.no_grad()
    def fit(self, table: Tensor) -> None:
        """Set the parameters so that `table()` is near to `table` (ids, d_model), in least squares.

        Projections of frozen features express what they can, shared rows what is left, own rows the rest: of an id with
        an own row the fit is exact.
        """
        rest = table
        for feature in filter(_FROZEN.__contains__, self.features):
            frozen = self.get_buffer(f"frozen_{feature}")
            self._parameter(feature).copy_(torch.linalg.lstsq(frozen, rest).solution)
            rest = rest - self._rows(feature)
        if self.sums:
            solutions = least_squares(list(self.sums.values()), rest)  # type: ignore[arg-type]  # all are RowSums
            for feature, rows in zip(self.sums, solutions, strict=True):
                self._parameter(feature).copy_(rows)
        if "own" in self.features:
            own = self._parameter("own")
            own.zero_()
            rest = table - self.table()
            if self._row_numbers is None:
                own.copy_(rest)
            else:
                own[self._row_numbers] = rest
                own[0] = 0

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
        if "own" in self.features and len(self.features) > 1:
            weights = torch.from_numpy(which.astype(np.float32))[:, None]
            self._parameter("own").register_hook(  # type: ignore[no-untyped-call]  # torch has no types there
                lambda gradient: gradient * weights.to(gradient)
            )

    def keep_own_rows(self, which: np.ndarray[Any, Any]) -> None:
        """Have an own row, beside shared ones, only where `which` (ids,) is True and for special tokens; new rows.

        The optimizer then need not pass over the rows of a large vocabulary at each step.
        """
        if "own" in self.features and len(self.features) > 1:
            which = which.copy()
            which[self._textless] = True
            old = self._parameter("own")
            numbers = torch.from_numpy(np.where(which, np.cumsum(which), 0))  # row 0 stays zero
            self._row_numbers = numbers.to(old.device)
            rows = old.new_zeros(1 + int(which.sum()), self.d_model)
            special = torch.randn(len(self._textless), self.d_model, generator=torch.Generator().manual_seed(0))
            rows[numbers[self._textless]] = _SPREAD * special.to(rows)  # nothing else is known of them
            self.rows = nn.Parameter(rows)

    def row_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that have a row per feature of ids; others are matrices, or biases."""
        return [self._parameter(feature) for feature in self.features if feature not in _FROZEN]

    def _parameter(self, feature: str) -> nn.Parameter:
        return self.get_parameter(_PARAMETERS[feature])

    def _rows(self, feature: str, ids: Tensor | None = None) -> Tensor:
        """Return what a feature adds to the vectors of `ids` (n,), None for all: (n, d_model)."""
        rows: Tensor = self._parameter(feature)
        if feature in self.sums:
            sums: RowSums = self.sums[feature]  # type: ignore[assignment]  # all are
            return sums(rows) if ids is None else sums.some(rows, ids)
        if feature in _FROZEN:
            frozen = self.get_buffer(f"frozen_{feature}")
            return (frozen if ids is None else frozen[ids]) @ rows
        if self._row_numbers is not None:
            return functional.embedding(self._row_numbers if ids is None else self._row_numbers[ids], rows, 0)
        return rows if ids is None else functional.embedding(ids, rows)


class LookupEmbedding(Embedding):
    """One row per id."""


class FactoredEmbedding(Embedding):
    """The sum of one row per digit of an id's code: 55 rows in place of 32,768 for levels 8,8,8,8,8,5,5,5."""

    features = ("digits",)


class FactoredLookupEmbedding(Embedding):
    """Digits and an own row, which begins at zero."""

    features = ("digits", "own")
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
    fallback = "spelled"


class VectorsEmbedding(Embedding):
    """The vectors that come with a tokenizer, which say how its segments are used, projected; they stay as they are."""

    features = ("vectors",)


class EncoderEmbedding(Embedding):
    """The quantized latents of the tokenizer's own network, projected; the network stays as it is."""

    features = ("encoder",)


def embedding_class(name: str) -> type[Embedding]:
    """Return the class of a registered embedding, or of several, as in "spelled+vectors", whose features are added up.

    Raises: UnknownNameError; UnsupportedError for a sum with an embedding that is not made of features.
    """
    kinds = [load_target(host().registry.component("embedding", part, FIRST_PARTY)) for part in name.split("+")]
    if len(kinds) == 1:
        found: type[Embedding] = kinds[0]
        return found
    for part, kind in zip(name.split("+"), kinds, strict=True):
        if not (isinstance(kind, type) and issubclass(kind, Embedding)) or kind.table is not Embedding.table:
            raise UnsupportedError(f"the embedding {part!r} cannot be added to others, only used alone")
    features = tuple(dict.fromkeys(feature for kind in kinds for feature in kind.features))
    return type("SumEmbedding", (Embedding,), {"features": features})


def suited(name: str, tokenizer: ITokenizer) -> str:
    """Return the embedding, or the sum of embeddings, that is left of `name` where a tokenizer lacks what a part needs.

    A part is replaced by its fallback, or dropped where it has none; empty if nothing is left.
    """
    left: list[str] = []
    for part in name.split("+"):
        kind = embedding_class(part)
        use = part if not kind.missing(tokenizer) else kind.fallback
        if use and use not in left:
            left.append(use)
    return "+".join(left)


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


def _shipped_vectors(tokenizer: ITokenizer) -> Tensor | None:
    """Return the vectors that a tokenizer ships (ids, n), of mean square 1, zero for an id without text, or None."""
    if not isinstance(tokenizer, HasVectors):
        return None
    texts = sorted(set(range(tokenizer.vocab_size)).difference(tokenizer.textless_ids))
    try:
        given = tokenizer.embed(texts)
    except UnsupportedError:  # one of its kind that was trained without
        return None
    found = torch.zeros(tokenizer.vocab_size, given.shape[1])
    found[texts] = torch.from_numpy(given).float()
    return _scaled(found)


def _frozen_vectors(tokenizer: ITokenizer) -> Tensor:
    """Return the vectors of `_shipped_vectors`. Raises: UnsupportedError where there are none."""
    found = _shipped_vectors(tokenizer)
    if found is None:
        raise UnsupportedError(
            f'{tokenizer.name or type(tokenizer).__name__!r} ships no vectors of its ids. Leave "vectors" out of the '
            "embedding in the config, or use a tokenizer that ships them, such as autoencoder-fsq",
            capability="embed",
        )
    return found


def _frozen_latents(tokenizer: ITokenizer) -> Tensor:
    """Return the quantized latents of ids (ids, d_latent). Raises: UnsupportedError without a network."""
    if not (has_codes(tokenizer) and isinstance(tokenizer, HasNetwork)):
        raise UnsupportedError(
            f'{tokenizer.name or type(tokenizer).__name__!r} has no network that could encode ids. Leave "encoder" '
            "out of the embedding in the config, or use a tokenizer that has one, such as autoencoder-fsq",
            capability="network",
        )
    codes = torch.from_numpy(tokenizer.codes())
    coded = codes >= 0
    with torch.no_grad():
        latents = tokenizer.network().quantizer.decode_indices(codes[coded]).float()
    return _scaled(latents.new_zeros(len(codes), latents.shape[1]).index_copy(0, coded.nonzero()[:, 0], latents))


def _scaled(rows: Tensor) -> Tensor:
    return rows / rows.square().mean().sqrt().clamp(min=1e-12)


_PARTS = {"digits": _digit_parts, "spelling": _spelling_parts}
_FROZEN = {"vectors": _frozen_vectors, "encoder": _frozen_latents}
