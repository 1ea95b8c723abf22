"""How fast tokenizers are: one thread, the same text for all, rounds in turn so that a busy machine hits all alike."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from attrs import frozen

from tokframe.training.progress import Reporter, SilentReporter

if TYPE_CHECKING:
    from tokframe.corpus.files import Corpus, CorpusFile
    from tokframe.tokenizer.base import ITokenizer
    from tokframe.tokenizer.results import IntArray

__all__ = ["Speed", "sample", "speeds"]

_SLICE = 20_000  # characters of a file taken at a time
_FILES = 64  # files a sample is drawn from: each stays open meanwhile
_ROUND_SECONDS = 1.0  # what a round may take the slowest tokenizer
_LEAST = 100_000  # bytes of text in a round, however slow


@frozen(kw_only=True)
class Speed:
    """Megabytes (10^6 bytes) of text per second in one thread, medians of the rounds."""

    encode_mb_s: float
    decode_mb_s: float


def sample(corpus: Corpus, size: int = 2_000_000) -> list[str]:
    """Return about `size` bytes of text, evenly from all over the corpus and always the same.

    Raises: CorpusError.
    """
    step = -(-len(corpus.files) // _FILES)
    queue = deque(_slices(file) for file in corpus.files[::step])
    texts: list[str] = []
    missing = size
    while queue and missing > 0:
        slices = queue.popleft()
        text = next(slices, None)
        if text is not None:
            texts.append(text)
            missing -= len(text.encode())
            queue.append(slices)
    return texts


def speeds(
    tokenizers: Mapping[str, ITokenizer],
    texts: list[str],
    rounds: int = 5,
    reporter: Reporter | None = None,
) -> dict[str, Speed]:
    """Return how fast each tokenizer encodes texts to arrays and decodes arrays to texts, over the same texts.

    Where the slowest would take more than a second a round, all get fewer texts. Raises: EncodingError.
    """
    reporter = reporter or SilentReporter()
    reporter.stage("timing", rounds * len(tokenizers), "rounds")
    texts = _affordable(tokenizers, texts)
    size = sum(len(text.encode()) for text in texts) / 1e6
    ids = {name: [tok.encode_array(text, False) for text in texts] for name, tok in tokenizers.items()}
    encode: dict[str, list[float]] = {name: [] for name in tokenizers}
    decode: dict[str, list[float]] = {name: [] for name in tokenizers}
    for turn in range(rounds):
        for number, (name, tokenizer) in enumerate(tokenizers.items()):
            encode[name].append(_seconds(_encoding(tokenizer, texts)))
            decode[name].append(_seconds(_decoding(tokenizer, ids[name])))
            reporter.advance(turn * len(tokenizers) + number + 1)
    return {
        name: Speed(
            encode_mb_s=size / statistics.median(encode[name]), decode_mb_s=size / statistics.median(decode[name])
        )
        for name in tokenizers
    }


def _slices(file: CorpusFile) -> Iterator[str]:
    """Yield a file in slices of about `_SLICE` characters, cut after line ends where there are any."""
    for document in file.documents():
        start = 0
        while start < len(document):
            end = start + _SLICE
            if end < len(document):
                end = document.rfind("\n", start, end) + 1 or end
            yield document[start:end]
            start = end


def _affordable(tokenizers: Mapping[str, ITokenizer], texts: list[str]) -> list[str]:
    """Return the texts that the slowest tokenizer gets through in a round; warms every tokenizer up."""
    probe = _until(texts, _LEAST)
    size = sum(len(text.encode()) for text in probe)
    slowest = 0.0
    for tokenizer in tokenizers.values():
        tokenizer.decode(tokenizer.encode_array(probe[0], False))
        slowest = max(slowest, _seconds(_encoding(tokenizer, probe)))
    return _until(texts, max(_LEAST, int(size * _ROUND_SECONDS / max(slowest, 1e-9))))


def _until(texts: list[str], size: int) -> list[str]:
    kept: list[str] = []
    for text in texts:
        if size <= 0:
            break
        kept.append(text)
        size -= len(text.encode())
    return kept


def _encoding(tokenizer: ITokenizer, texts: list[str]) -> Callable[[], None]:
    def run() -> None:
        for text in texts:
            tokenizer.encode_array(text, False)

    return run


def _decoding(tokenizer: ITokenizer, rows: list[IntArray]) -> Callable[[], None]:
    def run() -> None:
        for ids in rows:
            tokenizer.decode(ids)

    return run


def _seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return max(time.perf_counter() - start, 1e-9)
