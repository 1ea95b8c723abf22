"""Stability: what cuts and small edits of a text change in its ids, and whether sampled ids are those of their text.

Definitions are in `Stability`. Which figures are shown, and how, is left to `columns`.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from attrs import frozen

from tokframe.tokenizer.display import Result

if TYPE_CHECKING:
    from tokframe.tokenizer.base import ITokenizer

__all__ = ["Stability", "stability"]

_SAMPLES = 500  # of each kind
_BEFORE_CHARS, _AFTER_CHARS = 200, 100  # of a window around a place

#: Cyrillic letters that look like Latin ones.
_HOMOGLYPHS = dict(zip("aceopxyABCEHKMOPTX", "асеорхуАВСЕНКМОРТХ", strict=True))


@frozen(kw_only=True, repr=False)
class Stability(Result):
    """How much of a text's ids changes, over random windows of 300 characters, the same for every tokenizer.

    `cut_*` are shares of cuts (0 to 1) after which the ids of what stands before are not the first ids of the window:
    at any character, before a space that ends a word, after such a space, behind a line end. `cut_ids` is how many ids
    of what stands before differ, averaged over the cuts at any character that change some.
    `typo`, `case`, `diacritic`, `homoglyph` and `double_space` are how many ids one such edit changes on average: those
    between the common beginning and the common end, of the text or of the edited one, whichever are more.
    `canonical` is the share of pairs of ids, each drawn as often as the text has it, that `encode` gives to their text.
    A figure is None where the text has no such place, or where ids do not spell the text.
    """

    cut_any: float | None
    cut_before_space: float | None
    cut_after_space: float | None
    cut_line_end: float | None
    cut_ids: float | None
    typo: float | None
    case: float | None
    diacritic: float | None
    homoglyph: float | None
    double_space: float | None
    canonical: float | None


def stability(tokenizer: ITokenizer, texts: Sequence[str], seed: int = 0) -> Stability:
    """Measure a tokenizer on texts; the places are the same for every tokenizer. Raises: EncodingError."""

    def cut(kind: Callable[[str, int], bool]) -> list[int]:
        """Return of each cut how many ids of what stands before it change."""
        found = []
        for before, after in _windows(texts, kind, seed):
            alone, whole = tokenizer.encode(before, False), tokenizer.encode(before + after, False)
            found.append(len(alone) - _common(alone, whole))
        return found

    def edit(change: Callable[[str, random.Random], str | None]) -> float | None:
        """Return how many ids an edit changes on average; `change` gives what stands for a character, or None."""
        chance = random.Random(seed)
        found = []
        for before, after in _windows(texts, lambda text, at: change(text[at], random.Random(0)) is not None, seed):
            there = change(after[0], chance)
            first = tokenizer.encode(before + after, False)
            second = tokenizer.encode(f"{before}{there}{after[1:]}", False)
            head = _common(first, second)
            tail = _common(first[head:][::-1], second[head:][::-1])
            found.append(max(len(first), len(second)) - head - tail)
        return _mean(found)

    anywhere = cut(lambda text, at: True)
    return Stability(
        cut_any=_share(anywhere),
        cut_before_space=_share(cut(lambda text, at: text[at] == " " and not text[at - 1].isspace())),
        cut_after_space=_share(cut(lambda text, at: text[at - 1] == " " and not text[at].isspace())),
        cut_line_end=_share(cut(lambda text, at: text[at - 1] == "\n" and text[at] != "\n")),
        cut_ids=_mean([changed for changed in anywhere if changed]),
        typo=edit(_typo),
        case=edit(_other_case),
        diacritic=edit(_accented),
        homoglyph=edit(lambda character, chance: _HOMOGLYPHS.get(character)),
        double_space=edit(lambda character, chance: "  " if character == " " else None),
        canonical=_canonical(tokenizer, texts, seed),
    )


def _windows(texts: Sequence[str], kind: Callable[[str, int], bool], seed: int) -> list[tuple[str, str]]:
    """Return what stands before and after random places of a kind; fewer where the texts have few."""
    chance = random.Random(seed)
    usable = [text for text in texts if len(text) > 1]
    found: list[tuple[str, str]] = []
    for _ in range(_SAMPLES * 40 if usable else 0):
        text = chance.choices(usable, [len(text) for text in usable])[0] if len(usable) > 1 else usable[0]
        at = chance.randrange(1, len(text))
        if kind(text, at):
            found.append((text[max(0, at - _BEFORE_CHARS) : at], text[at : at + _AFTER_CHARS]))
            if len(found) == _SAMPLES:
                break
    return found


def _canonical(tokenizer: ITokenizer, texts: Sequence[str], seed: int) -> float | None:
    if not (tokenizer.capabilities.lossless and tokenizer.capabilities.bytes_input and tokenizer.capabilities.offsets):
        return None
    ids = [token for text in texts[:50] for token in tokenizer.encode(text, False)]
    drawn = random.Random(seed).choices(ids, k=4 * _SAMPLES) if ids else []
    return _mean([tokenizer.is_canonical(pair) for pair in pairwise(drawn)])


def _typo(character: str, chance: random.Random) -> str | None:
    others = [letter for letter in "etaoinshrdlu" if letter != character]
    return chance.choice(others) if character.isalpha() else None


def _other_case(character: str, chance: random.Random) -> str | None:
    other = character.swapcase()
    return other if other != character and len(other) == 1 else None


def _accented(character: str, chance: random.Random) -> str | None:
    other = unicodedata.normalize("NFC", character + "\u0301")
    return other if character.isalpha() and len(other) == 1 else None


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    """Return how many leading ids are the same."""
    both = zip(first, second, strict=False)
    return next((n for n, (a, b) in enumerate(both) if a != b), min(len(first), len(second)))


def _share(changed: Sequence[int]) -> float | None:
    return _mean([bool(number) for number in changed])


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
