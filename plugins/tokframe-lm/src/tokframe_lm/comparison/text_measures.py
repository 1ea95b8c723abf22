"""Measures of written text that need no model: one row of `MEASURES` each, read by JSON, tables and help."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from itertools import pairwise
from typing import NamedTuple

__all__ = ["MEASURES", "Measure", "measure", "words"]

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


class Measure(NamedTuple):
    """A measure: its JSON key, its label in tables, its format, and its value given a text's words and known words."""

    key: str
    label: str
    format: str
    value: Callable[[Sequence[str], Collection[str]], float]


def _valid_words(found: Sequence[str], known: Collection[str]) -> float:
    """Return the share of words that are known."""
    return _share(sum(word in known for word in found), len(found))


def _repetition(found: Sequence[str], _: Collection[str]) -> float:
    """Return the share of word 4-grams that occur more than once."""
    fours = Counter(zip(*(found[n:] for n in range(4)), strict=False))
    return _share(sum(count for count in fours.values() if count > 1), fours.total())


def _distinct_1(found: Sequence[str], _: Collection[str]) -> float:
    """Return distinct words over all; falls with length, so compare texts of equal bytes."""
    return _share(len(set(found)), len(found))


def _distinct_2(found: Sequence[str], _: Collection[str]) -> float:
    """Return distinct word pairs over all; falls with length, so compare texts of equal bytes."""
    pairs = list(pairwise(found))
    return _share(len(set(pairs)), len(pairs))


MEASURES = (
    Measure("valid_words", "valid words", ".1%", _valid_words),
    Measure("repetition", "repetition", ".1%", _repetition),
    Measure("distinct_1", "distinct-1", ".3f", _distinct_1),
    Measure("distinct_2", "distinct-2", ".3f", _distinct_2),
)


def measure(text: str, known: Collection[str]) -> dict[str, float]:
    """Return all measures of a text by key, given the words that count as known (see `words`)."""
    found = words(text)
    return {one.key: one.value(found, known) for one in MEASURES}


def words(text: str) -> list[str]:
    """Return the words of a text in order, in lower case."""
    return _WORD.findall(text.lower())


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
