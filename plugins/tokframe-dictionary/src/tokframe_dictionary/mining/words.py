"""Words: where a text can be cut without cutting a word, and which of its substrings keep words whole.

A word is a run of ASCII letters, of digits or of marks, with the space before it; of several spaces the others, and
newlines, stand by themselves. Any other character joins its neighbors: between it and them is no border but a line's
end. So the rule shapes English and code, and leaves alone what is written without spaces, or with endings that are
worth more together with the space behind them. This is the rule in plain Python, and the oracle of the compiled one in
`_words.h`.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["borders", "keeps_words"]

_SPACE, _LETTER, _DIGIT, _MARK, _NEWLINE, _FOREIGN = range(6)


def borders(data: bytes) -> list[bool]:
    """Return for each of the `len(data) + 1` places between bytes whether a word begins or the text ends there."""
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


def keeps_words(found: Sequence[bool], start: int, end: int) -> bool:
    """Return whether what lies between two places is whole words, or within one; `found` is of `borders`."""
    return (found[start] and found[end]) or not any(found[start + 1 : end])


def _kind(byte: int) -> int:
    if byte >= 0x80:
        return _FOREIGN
    character = chr(byte)
    if character == "\n":
        return _NEWLINE
    if character in " \t\r":
        return _SPACE
    return _DIGIT if character.isdigit() else _LETTER if character.isalpha() else _MARK
