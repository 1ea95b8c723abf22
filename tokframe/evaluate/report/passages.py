"""Passages of a corpus worth a look: one from the middle of each source, and those two tokenizers differ on most."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from tokframe.corpus.files import Corpus, CorpusFile
    from tokframe.tokenizer.base import ITokenizer

__all__ = ["Difference", "Passage", "differences", "passages"]

_LEAST, _MOST = 160, 320  # characters of a passage that two tokenizers are compared on
_FILES = 64  # files that such passages are drawn from
_WORDS = 0.6  # share of letters and digits in a passage: rulers and tables of dots are no reading


@frozen(kw_only=True)
class Passage:
    """A piece of text and the source of the corpus it is from."""

    source: str
    text: str


@frozen(kw_only=True)
class Difference:
    """A passage with the number of tokens that the first and the second of two tokenizers make of it."""

    passage: Passage
    first: int
    second: int


def passages(corpus: Corpus, count: int = 6, size: int = 360) -> list[Passage]:
    """Return about `size` characters from each of `count` sources evenly chosen, always the same ones.

    Raises: CorpusError.
    """
    sources = corpus.sources()
    names = list(sources)
    chosen = [names[i * len(names) // min(count, len(names))] for i in range(min(count, len(names)))]
    found = []
    per_source = max(1, count // max(1, len(chosen)))
    for name in chosen:
        files = sources[name]
        step = max(1, len(files) // per_source)
        for file in files[::step][:per_source]:
            text = _excerpt(file, size)
            if text:
                found.append(Passage(source=file.name if per_source > 1 else name, text=text))
    return found


def differences(
    first: ITokenizer, second: ITokenizer, corpus: Corpus, count: int = 3, size: int = 300_000
) -> tuple[list[Difference], list[Difference]]:
    """Return the passages in which the first needs the fewest tokens beside the second, and the other way round.

    They are found among about `size` characters from all over the corpus. Raises: CorpusError; EncodingError.
    """
    scored = []
    for passage in _candidates(corpus, size):
        one, two = first.count(passage.text), second.count(passage.text)
        if one and two and one != two:
            scored.append((math.log(one / two), Difference(passage=passage, first=one, second=two)))
    scored.sort(key=lambda pair: pair[0])
    most = -(-count // max(1, len({each.passage.source for _, each in scored})))
    better = [each for score, each in scored if score < 0]
    worse = [each for score, each in reversed(scored) if score > 0]
    return _varied(better, count, most), _varied(worse, count, most)


def _varied(ordered: list[Difference], count: int, most: int) -> list[Difference]:
    """Return the first `count`, at most `most` of them from one source while there are others."""
    taken: Counter[str] = Counter()
    kept, rest = [], []
    for each in ordered:
        if taken[each.passage.source] < most:
            taken[each.passage.source] += 1
            kept.append(each)
        else:
            rest.append(each)
    return (kept + rest)[:count]


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
    files = corpus.files[:: -(-len(corpus.files) // _FILES)]
    share = max(_MOST, size // len(files))
    seen: set[str] = set()
    for file in files:
        for text in _windows(file, share):
            if text not in seen and sum(c.isalnum() for c in text) >= _WORDS * len(text):
                seen.add(text)
                yield Passage(source=file.source, text=text)


def _windows(file: CorpusFile, size: int) -> Iterator[str]:
    """Yield the first `size` characters or so of a file in runs of lines of `_LEAST` to `_MOST` characters."""
    held = ""
    for document in islice(file.documents(), 1000):
        for line in document[:size].splitlines(keepends=True):
            held += line
            while len(held) >= _LEAST:
                text = held if len(held) <= _MOST else held[: held.rfind(" ", _LEAST, _MOST) + 1 or _MOST]
                held = held[len(text) :]
                size -= len(text)
                yield text.rstrip("\n")
        if size <= 0:
            return
    if held.strip():
        yield held.rstrip("\n")
