"""Fit: where token borders fall in words, characters and numbers. Which figures are shown is left to `columns`.

A word is a run of letters and the marks on them, with apostrophes between letters, in scripts that put spaces between
words; Chinese, Japanese, Thai and others that do not have none here. A number is a run of two digits or more.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from attrs import evolve, field, frozen

from tokframe.errors import TokframeError

if TYPE_CHECKING:
    from tokframe.tokenizer.base import ITokenizer
    from tokframe.tokenizer.results import IntArray

__all__ = ["Fit", "Fitting", "splitting_characters"]

#: Words of each file whose single-token retention is measured: the most frequent of its first characters.
_FREQUENT_WORDS, _FREQUENT_CHARS = 1000, 250_000
#: Longest numbers whose ways of being split are told apart.
_MAX_DIGITS = 8
_OTHER, _LETTER, _DIGIT, _APOSTROPHE = range(4)
#: Code points beyond it are rare Chinese characters, tags, and nothing that is a word.
_CLASSIFIED = 0x30000
#: What the names of letters begin with in scripts that are written without spaces between words.
_UNSPACED = ("CJK ", "HIRAGANA ", "KATAKANA ", "BOPOMOFO ", "YI ", "THAI ", "LAO ", "KHMER ", "MYANMAR ", "TIBETAN ")

Positions = npt.NDArray[np.int64]


def _no_ways() -> npt.NDArray[np.int64]:
    return np.zeros((_MAX_DIGITS + 1, 1 << (_MAX_DIGITS - 1)), np.int64)


@frozen(kw_only=True, eq=False)
class Fit:
    """Counts over one text, which add up over texts.

    `words` of the text and those with a border inside; `frequent` words looked at, and `single` of them that are one
    id, alone or behind a space; `characters_split` by a border; `numbers`, the tokens that have a part of them, and
    `ways` (digits, borders as bits), how often numbers of so many digits are split in each way. `placed` is whether
    it is known where borders fall: it is not where ids do not spell the text.
    """

    placed: bool = True
    words: int = 0
    words_split: int = 0
    frequent: int = 0
    single: int = 0
    characters_split: int = 0
    numbers: int = 0
    number_tokens: int = 0
    ways: npt.NDArray[np.int64] = field(factory=_no_ways)

    def __add__(self, other: Fit) -> Fit:
        counts = {name: getattr(self, name) + getattr(other, name) for name in _SUMMED}
        return Fit(placed=self.placed and other.placed, **counts)

    @property
    def numbers_split_unevenly(self) -> float | None:
        """Share of numbers of two to eight digits split otherwise than most of as many digits; None without any."""
        found = int(self.ways.sum())
        return 1 - int(self.ways.max(axis=1).sum()) / found if found and self.placed else None


_SUMMED = ("words", "words_split", "frequent", "single", "characters_split", "numbers", "number_tokens", "ways")


class Fitting:
    """Counts a tokenizer's `Fit` on the documents of one file."""

    def __init__(self, tokenizer: ITokenizer, lengths: Positions) -> None:
        """`lengths` (vocab_size,) are the bytes that ids stand for."""
        self._tokenizer, self._lengths = tokenizer, lengths
        self._unknown = tokenizer.unknown_id
        self._fit = Fit()
        self._seen = 0
        self._words: Counter[str] = Counter()

    def add(self, document: str, data: bytes, ids: IntArray, exact: bool) -> None:
        """Count one document, its UTF-8 and its ids; `exact` is whether it is decoded from them."""
        text = _Text(document)
        if self._seen < _FREQUENT_CHARS:
            self._words.update(text.words(_FREQUENT_CHARS - self._seen))
            self._seen += len(document)
        ends = self._ends(document, data, ids, exact)
        found = Fit(placed=False, words=len(text.word_spans)) if ends is None else text.fit(data, ends)
        self._fit += found

    def result(self) -> Fit:
        """Return the counts of all documents. Raises: EncodingError where the tokenizer refuses a word."""
        words = [word for word, _ in self._words.most_common(_FREQUENT_WORDS)]
        return evolve(self._fit, frequent=len(words), single=sum(map(self._is_single, words)))

    def _is_single(self, word: str) -> bool:
        for text in (word, " " + word):
            ids = self._tokenizer.encode(text, False)
            if len(ids) == 1 and ids[0] != self._unknown:
                return True
        return False

    def _ends(self, document: str, data: bytes, ids: IntArray, exact: bool) -> Positions | None:
        """Return where tokens end, in bytes; None where that is not known."""
        ends = np.cumsum(self._lengths[ids])
        if exact and (ends[-1] if len(ends) else 0) == len(data):
            return ends
        if not self._tokenizer.capabilities.offsets:
            return None
        try:
            spans: Positions = self._tokenizer.offsets(document).byte_spans.astype(np.int64)
        except TokframeError:
            return None
        return spans[:, 1]


class _Text:
    """The words and numbers of a text, as spans of characters (spans, 2)."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        kinds = _kinds()[np.minimum(self._codes, _CLASSIFIED)]
        letters = kinds == _LETTER
        inner = np.flatnonzero(kinds[1:-1] == _APOSTROPHE) + 1
        letters[inner[letters[inner - 1] & letters[inner + 1]]] = True
        self.word_spans = _runs(letters)
        digits = _runs(kinds == _DIGIT)
        self._numbers = digits[digits[:, 1] - digits[:, 0] > 1]

    def words(self, chars: int) -> list[str]:
        """Return the words that begin in the first characters."""
        spans = self.word_spans[: int(np.searchsorted(self.word_spans[:, 0], chars))]
        return [self._text[start:end] for start, end in zip(spans[:, 0].tolist(), spans[:, 1].tolist(), strict=True)]

    def fit(self, data: bytes, ends: Positions) -> Fit:
        """Count what the ends of tokens, in bytes, do to the text."""
        border = np.zeros(len(data) + 1, bool)
        border[ends] = True
        before = np.concatenate([[0], np.cumsum(border)])  # borders before each byte
        codes = self._codes
        width = 1 + (codes >= 0x80).astype(np.int64) + (codes >= 0x800) + (codes >= 0x10000)
        place = np.concatenate([[0], np.cumsum(width)])  # of each character, in bytes

        def inside(spans: Positions) -> Positions:
            """Return how many borders fall inside each span of characters."""
            found: Positions = before[place[spans[:, 1]]] - before[place[spans[:, 0]] + 1]
            return found

        wide = np.flatnonzero(width > 1)
        within = inside(self._numbers)
        return Fit(
            words=len(self.word_spans),
            words_split=int((inside(self.word_spans) > 0).sum()),
            characters_split=int((inside(np.stack([wide, wide + 1], axis=1)) > 0).sum()),
            numbers=len(within),
            number_tokens=int(within.sum()) + len(within),
            ways=self._ways(border[place]),
        )

    def _ways(self, border: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """How numbers are split; `border` (characters + 1,) is whether a token ends before each character."""
        starts, digits = self._numbers[:, 0], self._numbers[:, 1] - self._numbers[:, 0]
        starts, digits = starts[digits <= _MAX_DIGITS], digits[digits <= _MAX_DIGITS]
        way = np.zeros(len(starts), np.int64)
        for place in range(1, _MAX_DIGITS):
            longer = digits > place
            way[longer] |= border[starts[longer] + place].astype(np.int64) << (place - 1)
        shape = _no_ways().shape
        return np.bincount(digits * shape[1] + way, minlength=shape[0] * shape[1]).reshape(shape)


def splitting_characters(tokenizer: ITokenizer) -> int:
    """Return how many ids, those without text left out, are not whole characters of UTF-8."""
    textless = tokenizer.textless_ids
    ids = (token for token in range(tokenizer.vocab_size) if token not in textless)
    return sum(not _is_utf8(tokenizer.token_bytes(token)) for token in ids)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _runs(mask: npt.NDArray[np.bool_]) -> Positions:
    """Return the spans (runs, 2) in which a mask is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return edges.reshape(-1, 2)


@cache
def _kinds() -> npt.NDArray[Any]:
    """The kind of each code point up to 0x30000."""
    kinds = np.zeros(_CLASSIFIED + 1, np.uint8)
    for code in range(_CLASSIFIED):
        character = chr(code)
        category = unicodedata.category(character)
        if category[0] in "LM":
            kinds[code] = _OTHER if unicodedata.name(character, "").startswith(_UNSPACED) else _LETTER
        elif category == "Nd":
            kinds[code] = _DIGIT
    kinds[[0x200C, 0x200D]] = _LETTER  # joiners between letters
    kinds[[ord("'"), 0x2019]] = _APOSTROPHE
    return kinds
