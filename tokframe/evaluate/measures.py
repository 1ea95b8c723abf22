"""Measures: what a tokenizer does to one text: compression, losses, and how ids spread over the vocabulary."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from attrs import frozen

from tokframe.tokenizer.base import utf8

if TYPE_CHECKING:
    from tokframe.corpus.files import CorpusFile
    from tokframe.tokenizer.base import ITokenizer

__all__ = [
    "Counts",
    "Measures",
    "entropy",
    "length_distribution",
    "measure",
    "perplexity",
    "rank_frequency",
    "renyi_efficiency",
    "total",
]

_CURVE_POINTS = 60  # of the rank-frequency curve, evenly spaced on a log scale

#: How often each id occurs: (vocab_size,) int64.
Counts = npt.NDArray[np.int64]


@frozen(kw_only=True, eq=False)
class Measures:
    """The figures of one tokenizer on one text; special tokens are not added.

    `unknown` counts tokens that are `unknown_id`; `lossless` is whether every document decoded from its ids is the
    document.
    """

    bytes: int
    chars: int
    tokens: int
    unknown: int
    lossless: bool
    counts: Counts

    @property
    def bytes_per_token(self) -> float | None:
        """UTF-8 bytes of text per token; None for no tokens."""
        return _ratio(self.bytes, self.tokens)

    @property
    def chars_per_token(self) -> float | None:
        """Characters of text per token; None for no tokens."""
        return _ratio(self.chars, self.tokens)

    @property
    def unknown_rate(self) -> float | None:
        """Share of tokens that are the unknown one, 0 to 1; None for no tokens."""
        return _ratio(self.unknown, self.tokens)

    @property
    def vocab_used(self) -> int:
        """Number of ids that occur."""
        return int(np.count_nonzero(self.counts))


def measure(tokenizer: ITokenizer, file: CorpusFile, progress: Callable[[int], None] = lambda done: None) -> Measures:
    """Return the figures of a tokenizer on a corpus file, a document at a time.

    `progress` is called with the bytes done. Raises: CorpusError; EncodingError or UnsupportedError where the
    tokenizer refuses the text.
    """
    unknown_id = tokenizer.unknown_id
    counts = np.zeros(tokenizer.vocab_size, np.int64)
    size = chars = tokens = 0
    lossless = True
    for document in file.documents():
        data = utf8(document)
        ids = tokenizer.encode_raw(data)
        lossless = lossless and tokenizer.decode_bytes(ids) == data
        counts += np.bincount(ids, minlength=len(counts))
        size += len(data)
        chars += len(document)
        tokens += len(ids)
        progress(len(data))
    unknown = 0 if unknown_id is None else int(counts[unknown_id])
    return Measures(bytes=size, chars=chars, tokens=tokens, unknown=unknown, lossless=lossless, counts=counts)


def total(parts: list[Measures]) -> Measures:
    """Return the figures of several texts (at least one) together, all of one tokenizer."""
    sums = {name: sum(getattr(part, name) for part in parts) for name in ("bytes", "chars", "tokens", "unknown")}
    counts = np.stack([part.counts for part in parts]).sum(axis=0)
    return Measures(**sums, lossless=all(part.lossless for part in parts), counts=counts)


def entropy(counts: Counts) -> float:
    """Return the Shannon entropy of ids in bits per token; 0 for no tokens."""
    p = _distribution(counts)
    return max(0.0, float(-(p * np.log2(p)).sum()))


def perplexity(counts: Counts) -> float:
    """Return how many ids, all equally likely, would be as hard to guess: 2 ** entropy."""
    return float(2.0 ** entropy(counts))


def renyi_efficiency(counts: Counts, alpha: float = 2.5) -> float:
    """Return the Rényi entropy of ids over that of a uniform vocabulary, 0 to 1; 0 for no tokens.

    H_a = log2(sum(p ** a)) / (1 - a); a = 2.5 went best with translation quality in Zouhar et al. (2023),
    "Tokenization and the Noiseless Channel".
    """
    p = _distribution(counts)
    if not len(p) or len(counts) < 2:
        return 0.0
    return max(0.0, math.log2(float((p**alpha).sum())) / (1.0 - alpha)) / math.log2(len(counts))


def rank_frequency(counts: Counts) -> list[tuple[int, int]]:
    """Return (rank, count) of used ids, most frequent first, at ranks evenly spaced on a log scale."""
    ordered = np.sort(counts[counts > 0])[::-1]
    if not len(ordered):
        return []
    ranks = np.unique(np.geomspace(1, len(ordered), _CURVE_POINTS).round().astype(np.int64))
    return [(int(rank), int(ordered[rank - 1])) for rank in ranks]


def length_distribution(lengths: npt.NDArray[np.int64], counts: Counts) -> list[tuple[int, int, int]]:
    """Return (bytes per id, ids of that length, tokens of that length); `lengths` (vocab_size,) in bytes."""
    ids = np.bincount(lengths)
    tokens = np.bincount(lengths, weights=counts).astype(np.int64)
    return [(size, int(ids[size]), int(tokens[size])) for size in range(len(ids)) if ids[size]]


def _distribution(counts: Counts) -> npt.NDArray[np.float64]:
    used = counts[counts > 0]
    shares: npt.NDArray[np.float64] = used / used.sum()
    return shares


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
