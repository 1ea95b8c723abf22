"""Words: where a text can be cut without cutting a word, and which of its substrings keep words whole.

For `PHRASES` a word is a run of ASCII letters, of digits or of marks, with the space before it; of several spaces the
others, and newlines, stand by themselves. Any other character joins its neighbors: between it and them is no border but
a line's end. So the rule shapes English and code, and leaves alone what is written without spaces, or with endings that
are worth more together with the space behind them.

For `WITHIN`, where no segment may hold parts of two words, letters are those of any script, with the apostrophes
between them, and marks include the common ones beyond ASCII; all but the last of several spaces are one word, and
newlines go with the marks before them.

These are the rules in plain Python, and the oracle of the compiled ones in `_words.h`.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

__all__ = ["Words", "borders", "keeps_words"]

_SPACE, _LETTER, _DIGIT, _MARK, _NEWLINE, _FOREIGN = range(6)


class Words(IntEnum):
    """Which occurrences of a substring count: all, whole words and parts of one, or only what lies within a word."""

    ANY, PHRASES, WITHIN = range(3)


def borders(data: bytes, rule: Words = Words.PHRASES) -> list[bool]:
    """Return for each of the `len(data) + 1` places between bytes whether a word begins or the text ends there."""
    return _within(data) if rule == Words.WITHIN else _phrases(data)


def keeps_words(found: Sequence[bool], start: int, end: int, rule: Words = Words.PHRASES) -> bool:
    """Return whether what lies between two places is within a word, or, for phrases, whole words.

    `found` is of `borders`.
    """
    return not any(found[start + 1 : end]) or (rule == Words.PHRASES and found[start] and found[end])


def _phrases(data: bytes) -> list[bool]:
    found = [True] * (len(data) + 1)
    for place in range(1, len(data)):
        before, kind = _kind(data[place - 1]), _kind(data[place])
        if before == _NEWLINE:
            found[place] = kind != _NEWLINE
        elif _FOREIGN in (before, kind):
            found[place] = False
        else:
            found[place] = kind == _SPACE if before == _SPACE else kind != before
    return found


def _within(data: bytes) -> list[bool]:
    found = [False] * len(data) + [True]
    starts = [i for i in range(len(data)) if not i or data[i] & 0xC0 != 0x80] + [len(data)]
    kinds = [_kind_within(data[i : i + 3]) for i in starts[:-1]] + [_NEWLINE]
    before = _NEWLINE
    for number, place in enumerate(starts[:-1]):
        kind, following = kinds[number], kinds[number + 1]
        if kind == _MARK and before == following == _LETTER and data[place : place + 3].startswith(_APOSTROPHES):
            kind = _LETTER
        if kind == _NEWLINE:
            border = before not in (_NEWLINE, _MARK)
        elif before == _SPACE:
            border = kind == _SPACE and following not in (_SPACE, _NEWLINE)
        else:
            border = kind != before
        found[place] = place == 0 or border
        before = kind
    return found


def _kind(byte: int) -> int:
    if byte >= 0x80:
        return _FOREIGN
    character = chr(byte)
    if character == "\n":
        return _NEWLINE
    if character in " \t\r":
        return _SPACE
    return _DIGIT if character.isdigit() else _LETTER if character.isalpha() else _MARK


_APOSTROPHES = (b"'", "\u2019".encode())
#: By how a character begins: what its next byte may be for a space and for a letter; the others are marks.
_SPACES = {
    b"\xc2": {0xA0},
    b"\xe2\x80": {*range(0x8C), 0xAF},
    b"\xe3\x80": {0x80},
    b"\xef\xbc": set(),
    b"\xef\xbd": set(),
}
_LETTERS = {
    b"\xc2": {0xAA, 0xB5, 0xBA},
    b"\xe2\x80": {0x8C, 0x8D},
    b"\xe3\x80": {0x85, 0x86, 0x87},
    b"\xef\xbc": {*range(0x90, 0x9A), *range(0xA1, 0xBB)},
    b"\xef\xbd": {*range(0x80), *range(0x81, 0x9B)},
}


def _kind_within(character: bytes) -> int:
    if character[0] < 0x80:
        return _kind(character[0])
    beginning = character[:1] if character[:1] in _SPACES else character[:2]
    if beginning not in _SPACES:
        return _LETTER
    following = character[len(beginning)] if len(character) > len(beginning) else 0
    if following in _SPACES[beginning]:
        return _SPACE
    return _LETTER if following in _LETTERS[beginning] else _MARK
