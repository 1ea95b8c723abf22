"""Timing: speed of tokenizers in one thread on the same text, in interleaved rounds so that other load affects all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import accumulate, product
from statistics import median
from typing import TYPE_CHECKING, TypeVar

from attrs import frozen

from tokframe.training.progress import SILENT, Reporter

if TYPE_CHECKING:
    from tokframe.corpus.files import Corpus
    from tokframe.tokenizer.base import ITokenizer

__all__ = ["Speed", "sample", "speeds"]

T = TypeVar("T")

_SLICE_CHARS = 20_000  # read from a file at a time
_ROUND_S = 1.0  # of the slowest tokenizer
_MIN_ROUND_BYTES = 100_000  # however slow


@frozen(kw_only=True)
class Speed:
    """Megabytes (10^6 bytes) of text per second in one thread, medians of the rounds."""

    encode_mb_s: float
    decode_mb_s: float


def sample(corpus: Corpus, size: int = 2_000_000) -> list[str]:
    """Return about `size` bytes of text, drawn evenly from the corpus and always the same.

    Raises: CorpusError.
    """
    return [text for _, text in corpus.slices(size, _SLICE_CHARS)]


def speeds(
    tokenizers: Mapping[str, ITokenizer], texts: list[str], rounds: int = 5, reporter: Reporter = SILENT
) -> dict[str, Speed]:
    """Return how fast each tokenizer encodes texts to arrays and decodes arrays to texts, over the same texts.

    Where the slowest would take more than a second a round, all get fewer texts. Raises: EncodingError.
    """
    reporter.stage("timing", rounds * len(tokenizers), "rounds")
    texts = _affordable(tokenizers, texts)
    size = sum(len(text.encode()) for text in texts) / 1e6
    ids = {name: [tok.encode_array(text, False) for text in texts] for name, tok in tokenizers.items()}
    encode: dict[str, list[float]] = {name: [] for name in tokenizers}
    decode: dict[str, list[float]] = {name: [] for name in tokenizers}
    for done, (_, (name, tokenizer)) in enumerate(product(range(rounds), tokenizers.items()), 1):
        encode[name].append(_seconds(partial(tokenizer.encode_array, add_special=False), texts))
        decode[name].append(_seconds(tokenizer.decode, ids[name]))
        reporter.advance(done)
    return {
        name: Speed(encode_mb_s=size / median(encode[name]), decode_mb_s=size / median(decode[name]))
        for name in tokenizers
    }


def _affordable(tokenizers: Mapping[str, ITokenizer], texts: list[str]) -> list[str]:
    """Return as many texts as the slowest tokenizer encodes in a round; warms every tokenizer up."""
    probe = _until(texts, _MIN_ROUND_BYTES)
    size = sum(len(text.encode()) for text in probe)
    slowest = 0.0
    for tokenizer in tokenizers.values():
        tokenizer.decode(tokenizer.encode_array(probe[0], False))
        slowest = max(slowest, _seconds(partial(tokenizer.encode_array, add_special=False), probe))
    return _until(texts, max(_MIN_ROUND_BYTES, int(size * _ROUND_S / slowest)))


def _until(texts: list[str], size: int) -> list[str]:
    """Return the first texts that have `size` bytes together."""
    ends = accumulate(len(text.encode()) for text in texts)
    return texts[: 1 + sum(end < size for end in ends)]


def _seconds(function: Callable[[T], object], items: Iterable[T]) -> float:
    start = time.perf_counter()
    for item in items:
        function(item)
    return max(time.perf_counter() - start, 1e-9)
