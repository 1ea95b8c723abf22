"""Analysis: how a tokenizer uses its vocabulary on a text: frequencies, utilization, coverage, the cost of pruning."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from attrs import asdict, frozen

from tokframe.errors import UnsupportedError
from tokframe.evaluate.columns import COLUMNS, RARE, measured
from tokframe.evaluate.fit import splitting_characters
from tokframe.evaluate.languages import check_languages, gini_of, language_of, mean_relative_cost
from tokframe.evaluate.measures import (
    Counts,
    Measures,
    by_group,
    entropy,
    length_distribution,
    measure,
    perplexity,
    rank_frequency,
    rarely_trained,
    renyi_efficiency,
    total,
)
from tokframe.evaluate.pruning import PruningPoint, pruning_curve
from tokframe.plugins.protocols import Analyzable, HasVectors, Prunable
from tokframe.tokenizer.display import Result
from tokframe.tokenizer.segments import shown
from tokframe.training.progress import SILENT, Reporter

if TYPE_CHECKING:
    from tokframe.corpus.files import Corpus
    from tokframe.tokenizer.base import ITokenizer
    from tokframe.tokenizer.results import IntArray

__all__ = ["Analysis", "Coverage", "UseClass", "analyze", "classes_of"]

_GROWTH = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_MAX_UNUSED_LISTED = 1000
_RARE = (1, 10, RARE, 1000)  # uses in training text
_SMALLEST = 2048  # ids of the smallest vocabulary of the sweep over sizes
_CLASS_EXAMPLES = 12


@frozen(kw_only=True)
class Coverage:
    """One class of ids: how many there are, how many occur, their share of tokens and of bytes."""

    ids: int
    used: int
    tokens: float
    bytes: float


@frozen(kw_only=True)
class UseClass:
    """A class of ids that are used alike: how many ids it has, how many occur, their share of tokens, the most used."""

    number: int
    ids: int
    used: int
    tokens: float
    examples: tuple[int, ...]


@frozen(kw_only=True, eq=False, repr=False)
class Analysis(Result):
    """Use of the vocabulary on one text by the tokenizer `name`; `label` names its parts too where they are not usual.

    `counts` (vocab_size,) how often each id occurs; `lengths` (vocab_size,) the bytes it stands for, 0 for a
    special token; `first_seen` (vocab_size,) how many bytes of text came before it (about), -1 if it never came;
    `spelling` the bytes of each id; `classes` (vocab_size,) the class of its use, -1 without one. `own` holds the
    tokenizer's own figures: its `analysis()`, if it has one.
    `text` and `languages` are the figures of the whole and of each language; `splitting` is how many ids are not whole
    characters; `rare` is (uses, ids with fewer in training text), empty where nobody knows; `sizes` is (ids, tokens of
    the text) of the smaller vocabularies that `tokframe prune` makes and of the whole, empty where it cannot.
    """

    name: str
    text_bytes: int
    text_chars: int
    counts: Counts
    lengths: npt.NDArray[np.int64]
    special: npt.NDArray[np.bool_]
    first_seen: npt.NDArray[np.int64]
    spelling: tuple[bytes, ...]
    classes: npt.NDArray[np.int64]
    pruning: tuple[PruningPoint, ...]
    own: Mapping[str, Any]
    text: Measures
    languages: Mapping[str, Measures]
    splitting: int
    rare: Sequence[tuple[int, int]]
    sizes: Sequence[tuple[int, int]]
    label: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return what `to_json` returns."""
        return self.to_json()

    def records(self) -> list[dict[str, Any]]:
        """Return one row per id, the most used first: its text, how often it occurs, its share of the tokens."""
        order = np.lexsort((np.arange(self.vocab_size), -self.counts)).tolist()
        tokens = max(1, self.tokens)
        return [
            {
                "id": token,
                "text": shown(self.spelling[token]),
                "count": int(self.counts[token]),
                "share": float(self.counts[token] / tokens),
            }
            for token in order
        ]

    def __repr__(self) -> str:
        return "\n".join(_views().analysis_text(self))

    def _repr_html_(self) -> str | None:
        html: str | None = _views().analysis_html(self)
        return html

    @property
    def vocab_size(self) -> int:
        """Number of ids."""
        return len(self.counts)

    @property
    def tokens(self) -> int:
        """Number of tokens of the text."""
        return int(self.counts.sum())

    @property
    def bytes_per_token(self) -> float:
        """UTF-8 bytes of text per token; 0 for no tokens."""
        return self.text_bytes / self.tokens if self.tokens else 0.0

    @property
    def used(self) -> int:
        """Number of ids that occur."""
        return int(np.count_nonzero(self.counts))

    @property
    def utilization(self) -> float:
        """Share of ids that occur at least once in `text_bytes` of text, 0 to 1; it grows with the text."""
        return self.used / self.vocab_size

    @property
    def perplexity(self) -> float:
        """The number of ids, all equally likely, that would be as hard to guess as these."""
        return perplexity(self.counts)

    @property
    def unigram_bits_per_byte(self) -> float:
        """Entropy of ids in bits per byte of text: the length of an ideal code for ids alone."""
        return entropy(self.counts) * self.tokens / self.text_bytes if self.text_bytes else 0.0

    def coverage(self) -> dict[str, Coverage]:
        """Return the coverage of ids of several bytes ("learned"), of one byte, and of special tokens."""
        weights = self.counts * self.lengths
        classes = {
            "learned": ~self.special & (self.lengths > 1),
            "single_byte": ~self.special & (self.lengths <= 1),
            "special": self.special,
        }
        return {
            name: Coverage(
                ids=int(mask.sum()),
                used=int(np.count_nonzero(self.counts[mask])),
                tokens=_share(self.counts[mask].sum(), self.counts.sum()),
                bytes=_share(weights[mask].sum(), weights.sum()),
            )
            for name, mask in classes.items()
        }

    def growth(self) -> list[tuple[int, int]]:
        """Return (bytes of text read, ids seen by then) at shares of the text from 1% to all."""
        steps = sorted({max(1, int(self.text_bytes * share)) for share in _GROWTH})
        seen = np.sort(self.first_seen[self.first_seen >= 0])
        return [(step, int(np.searchsorted(seen, step, side="left"))) for step in steps]

    def length_distribution(self) -> list[tuple[int, int, int]]:
        """Return (bytes per id, ids of that length, tokens of that length), special tokens left out."""
        ordinary = ~self.special
        return length_distribution(self.lengths[ordinary], self.counts[ordinary])

    def top(self, count: int = 20) -> list[int]:
        """Return the most frequent ids, most frequent first."""
        order = np.lexsort((np.arange(self.vocab_size), -self.counts))[:count]
        return [int(token) for token in order if self.counts[token]]

    def use_classes(self, examples: int = _CLASS_EXAMPLES) -> list[UseClass]:
        """Return the tokenizer's classes of ids by number, each with at most so many of its most used ids."""
        order = np.lexsort((np.arange(self.vocab_size), -self.counts))
        numbers = self.classes[order]
        found = []
        for number in np.unique(numbers[numbers >= 0]).tolist():
            members = order[numbers == number]
            uses = self.counts[members]
            found.append(
                UseClass(
                    number=number,
                    ids=len(members),
                    used=int(np.count_nonzero(uses)),
                    tokens=_share(uses.sum(), self.counts.sum()),
                    examples=tuple(members[:examples].tolist()),
                )
            )
        return found

    def unused(self) -> list[int]:
        """Return the ids that never occur, special tokens left out, in order."""
        return [int(token) for token in np.flatnonzero((self.counts == 0) & ~self.special)]

    def to_json(self, top: int = 20) -> dict[str, Any]:
        """Return everything as JSON data; `unused` lists at most the first 1,000."""
        unused = self.unused()
        return {
            "tokenizer": self.name,
            "bytes": self.text_bytes,
            "chars": self.text_chars,
            "tokens": self.tokens,
            "bytes_per_token": self.bytes_per_token or None,
            "vocab_size": self.vocab_size,
            "vocab_used": self.used,
            "utilisation": self.utilization,
            "perplexity": self.perplexity,
            "perplexity_share": self.perplexity / self.vocab_size,
            "renyi_efficiency": renyi_efficiency(self.counts),
            "unigram_bits_per_byte": self.unigram_bits_per_byte,
            "coverage": {name: asdict(part) for name, part in self.coverage().items()},
            "lengths": [
                {"bytes": size, "ids": ids, "tokens": tokens} for size, ids, tokens in self.length_distribution()
            ],
            "growth": [{"bytes": size, "vocab_used": used} for size, used in self.growth()],
            "pruning": [asdict(point) for point in self.pruning],
            "rank_frequency": [{"rank": rank, "count": count} for rank, count in rank_frequency(self.counts)],
            "top": [self._listed(token) for token in self.top(top)],
            "classes": [
                {
                    "class": each.number,
                    "ids": each.ids,
                    "used": each.used,
                    "tokens": each.tokens,
                    "examples": [self._listed(token) for token in each.examples],
                }
                for each in self.use_classes()
            ],
            "unused": unused[:_MAX_UNUSED_LISTED],
            "unused_count": len(unused),
            "own": dict(self.own),
            **{column.key: column.figure(self.text) for column in COLUMNS if column.section == "words and numbers"},
            "ids_splitting_characters": self.splitting,
            "ids_rarely_trained": [{"below": below, "ids": ids} for below, ids in self.rare],
            "gini": gini_of(self.languages),
            "cost_relative_to_english": mean_relative_cost(self.languages),
            "languages": measured(self.languages, self.languages),
            "sizes": [
                {"vocab_size": size, "tokens": tokens, "bytes_per_token": self.text_bytes / tokens if tokens else None}
                for size, tokens in self.sizes
            ],
        }

    def _listed(self, token: int) -> dict[str, Any]:
        return {"id": token, "text": shown(self.spelling[token]), "count": int(self.counts[token])}


def analyze(
    tokenizer: ITokenizer, corpus: Corpus, reporter: Reporter = SILENT, *, languages: Mapping[str, str] | None = None
) -> Analysis:
    """Encode a corpus a document at a time and return how the vocabulary was used.

    `languages` holds those of files or sources by name or pattern, where their names do not say. A tokenizer may add
    figures of its own by a method `analysis() -> dict` of JSON data, of which `level_use` (a list per code dimension,
    with the number of ids on each level) is drawn. Raises: CorpusError; ConfigError for a pattern of `languages` that
    fits nothing; EncodingError.
    """
    check_languages(languages or {}, corpus.files)
    size = tokenizer.vocab_size
    spelling = tuple(tokenizer.token_bytes(token) for token in range(size))
    special = np.zeros(size, bool)
    special[list(tokenizer.textless_ids)] = True
    lengths = np.array([len(text) for text in spelling], np.int64)
    first_seen = np.full(size, -1, np.int64)
    smaller = _smaller(tokenizer)
    tokens = dict.fromkeys(smaller, 0)
    done = 0

    def observe(document: str, data: bytes, ids: IntArray) -> None:
        nonlocal done
        present, where = np.unique(ids, return_index=True)
        fresh = first_seen[present] < 0
        first_seen[present[fresh]] = done + where[fresh] * len(data) // max(1, len(ids))
        for kept, pruned in smaller.items():
            tokens[kept] += pruned.count(document)
        done += len(data)
        reporter.advance(done / 1e6, ids_used=int((first_seen >= 0).sum()))

    reporter.stage("encoding", corpus.megabytes, "MB")
    files = {file.name: measure(tokenizer, file, lengths=lengths, observe=observe) for file in corpus.files}
    whole = total(list(files.values()))
    reporter.stage("estimating what pruning costs")
    return Analysis(
        name=tokenizer.name,
        label=tokenizer.label,
        text_bytes=whole.bytes,
        text_chars=whole.chars,
        counts=whole.counts,
        lengths=np.where(special, 0, lengths),
        special=special,
        first_seen=first_seen,
        spelling=spelling,
        classes=classes_of(tokenizer),
        pruning=pruning_curve(spelling, whole.counts, special | (lengths == 1)),
        own=dict(tokenizer.analysis()) if isinstance(tokenizer, Analyzable) else {},
        text=whole,
        languages=by_group(files, {file.name: language_of(file, languages) for file in corpus.files}),
        splitting=splitting_characters(tokenizer),
        rare=[(below, count) for below in _RARE if (count := rarely_trained(tokenizer, below)) is not None],
        sizes=[*tokens.items(), (size, whole.tokens)] if tokens else [],
    )


def _views() -> Any:
    """Import what draws an analysis; it knows this module, so it is named as text."""
    return importlib.import_module("tokframe.evaluate.report.notebook")


def _smaller(tokenizer: ITokenizer) -> dict[int, ITokenizer]:
    """Return the tokenizer pruned to 2,048 ids and twice as many while there are fewer than it has; {} if it cannot."""
    found: dict[int, ITokenizer] = {}
    size = _SMALLEST
    with suppress(UnsupportedError):
        while isinstance(tokenizer, Prunable) and size < tokenizer.vocab_size:
            found[size] = tokenizer.prune(size)
            size *= 2
    return found


def classes_of(tokenizer: ITokenizer) -> npt.NDArray[np.int64]:
    """Return the class of use of each id, (vocab_size,); -1 for all where the tokenizer knows none."""
    if isinstance(tokenizer, HasVectors):
        with suppress(UnsupportedError):
            return tokenizer.classes()
    return np.full(tokenizer.vocab_size, -1, np.int64)


def _share(part: np.int64, whole: np.int64) -> float:
    return float(part / whole) if whole else 0.0
