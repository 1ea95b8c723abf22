"""Measures: what a tokenizer does to one text: compression, losses, and how ids spread over the vocabulary."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from attrs import frozen

from tokframe.evaluate.fit import Fit, Fitting
from tokframe.plugins.protocols import CountsTraining
from tokframe.tokenizer.base import utf8

if TYPE_CHECKING:
    from tokframe.corpus.files import CorpusFile
    from tokframe.tokenizer.base import ITokenizer
    from tokframe.tokenizer.results import IntArray

__all__ = [
    "Counts",
    "Measures",
    "by_group",
    "entropy",
    "length_distribution",
    "lengths_of",
    "measure",
    "perplexity",
    "rank_frequency",
    "rarely_trained",
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
    document; `fit` is where token borders fall.
    """

    bytes: int
    chars: int
    tokens: int
    unknown: int
    lossless: bool
    counts: Counts
    fit: Fit

    @property
    def bytes_per_token(self) -> float | None:
        """UTF-8 bytes of text per token; None for no tokens."""
        return _ratio(self.bytes, self.tokens)

    @property
    def chars_per_token(self) -> float | None:
        """Characters of text per token; None for no tokens."""
        return _ratio(self.chars, self.tokens)

    @property
    def tokens_per_char(self) -> float | None:
        """Tokens per character of text; None for no text."""
        return _ratio(self.tokens, self.chars)

    @property
    def tokens_per_word(self) -> float | None:
        """Tokens per word, those between words counted too; None for no words.

        Called fertility by Rust et al. (2021), "How Good is Your Tokenizer?".
        """
        return _ratio(self.tokens, self.fit.words)

    @property
    def strr(self) -> float | None:
        """Single-token retention rate: share of the most frequent words of each file that are one id.

        Nayeem et al. (2025), "Beyond Fertility: Analyzing STRR as a Metric for Multilingual Tokenization Evaluation".
        """
        return _ratio(self.fit.single, self.fit.frequent)

    @property
    def words_split(self) -> float | None:
        """Share of words with a token border inside ("continued words" in Rust et al.); None where it is not known."""
        return _ratio(self.fit.words_split, self.fit.words) if self.fit.placed else None

    @property
    def characters_split(self) -> float | None:
        """Share of characters with a token border inside; None where it is not known."""
        return _ratio(self.fit.characters_split, self.chars) if self.fit.placed else None

    @property
    def tokens_per_number(self) -> float | None:
        """Tokens that have a part of a number of two digits or more; None without any, or where it is not known."""
        return _ratio(self.fit.number_tokens, self.fit.numbers) if self.fit.placed else None

    @property
    def unknown_rate(self) -> float | None:
        """Share of tokens that are the unknown one, 0 to 1; None for no tokens."""
        return _ratio(self.unknown, self.tokens)

    @property
    def vocab_used(self) -> int:
        """Number of ids that occur."""
        return int(np.count_nonzero(self.counts))


def measure(
    tokenizer: ITokenizer,
    file: CorpusFile,
    progress: Callable[[int], None] = lambda done: None,
    *,
    lengths: npt.NDArray[np.int64] | None = None,
    observe: Callable[[str, bytes, IntArray], None] = lambda document, data, ids: None,
) -> Measures:
    """Return the figures of a tokenizer on a corpus file, a document at a time.

    `lengths` (vocab_size,) are the bytes that ids stand for, found here if not given; `progress` is called with the
    bytes done, `observe` with each document, its UTF-8 and its ids. Raises: CorpusError; EncodingError or
    UnsupportedError where the tokenizer refuses the text.
    """
    unknown_id = tokenizer.unknown_id
    counts = np.zeros(tokenizer.vocab_size, np.int64)
    size = chars = tokens = 0
    lossless = True
    fitting = Fitting(tokenizer, lengths_of(tokenizer) if lengths is None else lengths)
    for document in file.documents():
        data = utf8(document)
        ids = tokenizer.encode_raw(data)
        exact = tokenizer.decode_bytes(ids) == data
        lossless = lossless and exact
        fitting.add(document, data, ids, exact)
        observe(document, data, ids)
        counts += np.bincount(ids, minlength=len(counts))
        size += len(data)
        chars += len(document)
        tokens += len(ids)
        progress(len(data))
    unknown = 0 if unknown_id is None else int(counts[unknown_id])
    sums = {"bytes": size, "chars": chars, "tokens": tokens, "unknown": unknown}
    return Measures(**sums, lossless=lossless, counts=counts, fit=fitting.result())


def lengths_of(tokenizer: ITokenizer) -> npt.NDArray[np.int64]:
    """Return the bytes that each id stands for, (vocab_size,)."""
    return np.array([len(tokenizer.token_bytes(token)) for token in range(tokenizer.vocab_size)], np.int64)


def rarely_trained(tokenizer: ITokenizer, below: int) -> int | None:
    """Return how many ids had fewer uses in training text, those without text left out; None where nobody knows.

    Land and Bartolo (2024), "Fishing for Magikarp", say what such ids do to a model.
    """
    if not isinstance(tokenizer, CountsTraining):
        return None
    rare = tokenizer.training_counts() < below
    rare[list(tokenizer.textless_ids)] = False
    return int(rare.sum())


def total(parts: list[Measures]) -> Measures:
    """Return the figures of several texts (at least one) together, all of one tokenizer."""
    sums = {name: sum(getattr(part, name) for part in parts) for name in ("bytes", "chars", "tokens", "unknown")}
    counts = np.stack([part.counts for part in parts]).sum(axis=0)
    fit = sum((part.fit for part in parts), Fit())
    return Measures(**sums, lossless=all(part.lossless for part in parts), counts=counts, fit=fit)


def by_group(files: Mapping[str, Measures], group: Mapping[str, str]) -> dict[str, Measures]:
    """Return the figures of each group of files, "" left out; `group` is that of each file by name."""
    parts: dict[str, list[Measures]] = {}
    for name, part in files.items():
        parts.setdefault(group[name], []).append(part)
    return {name: total(parts[name]) for name in sorted(parts) if name}


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
