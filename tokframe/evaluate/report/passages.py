"""Passages: excerpts of a corpus to show, from the middle of each source and where two tokenizers differ most."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from tokframe.corpus.files import Corpus, CorpusFile
    from tokframe.tokenizer.base import ITokenizer

__all__ = ["Difference", "Passage", "differences", "passages"]

_MIN_CHARS, _MAX_CHARS = 160, 320  # of a passage that two tokenizers are compared on
_MIN_ALNUM_SHARE = 0.6  # of a passage: rulers and tables of dots are not worth reading


@frozen(kw_only=True)
class Passage:
    """An excerpt and the source of the corpus it is from."""

    source: str
    text: str


@frozen(kw_only=True)
class Difference:
    """A passage with its number of tokens by the first and by the second of two tokenizers."""

    passage: Passage
    first: int
    second: int

    @property
    def score(self) -> float:
        """Logarithm of the ratio of tokens: negative where the first needs fewer."""
        return math.log(self.first / self.second)


def passages(corpus: Corpus, count: int = 6, size: int = 360) -> list[Passage]:
    """Return about `size` characters from each of `count` sources evenly chosen, always the same ones.

    Raises: CorpusError.
    """
    sources = list(corpus.sources().items())
    chosen = [sources[i * len(sources) // min(count, len(sources))] for i in range(min(count, len(sources)))]
    per_source = max(1, count // max(1, len(chosen)))
    return [
        Passage(source=file.name if per_source > 1 else name, text=text)
        for name, files in chosen
        for file in files[:: max(1, len(files) // per_source)][:per_source]
        if (text := _excerpt(file, size))
    ]


def differences(
    first: ITokenizer, second: ITokenizer, corpus: Corpus, count: int = 3, size: int = 300_000
) -> tuple[list[Difference], list[Difference]]:
    """Return the passages in which the first needs the fewest tokens relative to the second, and the opposite.

    They are found among about `size` characters from all over the corpus. Raises: CorpusError; EncodingError.
    """
    counted = [
        Difference(passage=each, first=first.count(each.text), second=second.count(each.text))
        for each in _candidates(corpus, size)
    ]
    scored = sorted((each for each in counted if each.first and each.second), key=lambda each: each.score)
    per_source = -(-count // max(1, len({each.passage.source for each in scored if each.score})))
    better = [each for each in scored if each.score < 0]
    worse = [each for each in reversed(scored) if each.score > 0]
    return _varied(better, count, per_source), _varied(worse, count, per_source)


def _varied(ordered: list[Difference], count: int, per_source: int) -> list[Difference]:
    """Return the first `count`, at most `per_source` of them from one source while there are others."""
    seen: Counter[str] = Counter()
    early: list[Difference] = []
    late: list[Difference] = []
    for each in ordered:
        seen[each.passage.source] += 1
        (early if seen[each.passage.source] <= per_source else late).append(each)
    return (early + late)[:count]


def _excerpt(file: CorpusFile, size: int) -> str:
    document = next(iter(file.documents()), "")
    start = document.find("\n", len(document) // 2 if len(document) > size else 0) + 1
    if len(document) <= size or len(document) - start < size // 2:
        start = max(0, len(document) // 2 - size)
    return _cut(document[start : start + 2 * size].lstrip("\n"), size)


def _cut(text: str, size: int) -> str:
    """Return at most about `size` characters, ended at a line or a blank where one is near."""
    if len(text) <= size:
        return text.rstrip("\n")
    for stop in ("\n", " "):
        end = text.rfind(stop, size * 2 // 3, size)
        if end > 0:
            return text[:end]
    return text[:size]


def _candidates(corpus: Corpus, size: int) -> Iterator[Passage]:
    seen: set[str] = set()
    for file, part in corpus.slices(size, 16 * _MAX_CHARS):
        for text in _windows(part):
            if text not in seen and sum(c.isalnum() for c in text) >= _MIN_ALNUM_SHARE * len(text):
                seen.add(text)
                yield Passage(source=file.source, text=text)


def _windows(text: str) -> Iterator[str]:
    """Yield a text in runs of lines of `_MIN_CHARS` to `_MAX_CHARS` characters."""
    held = ""
    for line in text.splitlines(keepends=True):
        held += line
        while len(held) >= _MIN_CHARS:
            end = len(held) if len(held) <= _MAX_CHARS else held.rfind(" ", _MIN_CHARS, _MAX_CHARS) + 1 or _MAX_CHARS
            yield held[:end].rstrip("\n")
            held = held[end:]
    if held.strip():
        yield held.rstrip("\n")
