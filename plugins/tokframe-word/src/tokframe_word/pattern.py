"""Pattern: cuts text into words, numbers, punctuation and white space; every character is in exactly one piece.

At most the two characters after a piece decide where it ends, which makes streaming exact.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

from tokframe_word.marks import mark_class

__all__ = ["pieces", "portable_pattern", "stable_chars"]

#: Scripts written without spaces between words: a "word" would be a whole clause and never seen again, so
#: each character, with its marks, is a piece. Thai, Lao, Myanmar, Khmer, kana, Han; and kana variants.
_UNSPACED = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3031-\u3035\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
    r"\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U0001b000-\U0001b16f\U00020000-\U000323af"
)
#: `\w` without digits, underscore and unspaced scripts (a negated class runs faster than a union of ranges).
_LETTER = rf"[^\W\d_{_UNSPACED}]"
#: A vowel sign belongs to its word. The look-ahead spares the table where there can be no mark.
_MARK = rf"(?![\x00-\u02ff])[{mark_class()}]"
#: Apostrophes and zero-width joiners hold a word together only between letters: don't, l’eau, می‌خواهم.
_JOINER = r"['\u2019\u200c\u200d]"

# Only single classes are possessive: of a possessive group Python 3.11.0 to 3.11.4 match too little (cpython 106052).
_PIECE = re.compile(
    rf"{_LETTER}++(?:(?:(?:{_MARK})+|{_JOINER}(?={_LETTER})){_LETTER}*+)*"  # a word
    r"| {1,16}|\n{1,4}|\t{1,8}|\r\n"  # white space, in runs of bounded length
    r"|\d{1,3}"  # a long number in groups: 1,110 pieces spell all of them in any one script
    rf"|[{_UNSPACED}](?:{_MARK})*"
    r"|.",  # punctuation, symbols, controls, and marks with no letter before them
    re.DOTALL,
)
WINDOW_CHARS = 1 << 16  # characters cut at a time, which bounds memory


def pieces(text: str) -> Iterator[list[str]]:
    """Yield the pieces of a text, in lists of bounded length; joined they are the text."""
    start, window = 0, WINDOW_CHARS
    while start < len(text):
        part = _PIECE.findall(text, start, start + window)
        if start + window < len(text):
            # the last two may look different once more of the text is seen
            size = window - len(part.pop()) - (len(part.pop()) if part else 0)
            window = WINDOW_CHARS if size else 2 * window
            start += size
        else:
            start = len(text)
        if part:
            yield part


def stable_chars(text: str) -> int:
    """Return how many leading characters are cut the same whatever follows: all pieces but the last two."""
    # No piece goes on after a newline unless with a newline, so the last such place is a sure border.
    start = text.rstrip("\n").rfind("\n") + 1
    part = _PIECE.findall(text, start)
    return len(text) - sum(map(len, part[-2:])) if len(part) > 2 else start


def portable_pattern() -> str:
    """Return the pattern in Oniguruma's syntax; every character is in exactly one match.

    Letters and digits are listed one by one: what they are differs between regular expression engines and versions.
    """
    parts = (_LETTER, r"\d", f"[{_UNSPACED}]", f"[{mark_class()}]", _JOINER)
    letter, digit, unspaced, mark, joiner = map(_listed, parts)
    return (
        f"{letter}++(?:(?:{mark}++|{joiner}(?={letter})){letter}*+)*+"
        "| {1,16}|\\n{1,4}|\\t{1,8}|\\r\\n"
        f"|{digit}{{1,3}}"
        f"|{unspaced}{mark}*+"
        "|[\\s\\S]"
    )


def _listed(expression: str) -> str:
    """Return the characters that Python matches, as a class of code points with runs of neighbors as ranges."""
    matches = re.compile(expression).fullmatch
    runs: list[list[int]] = []
    for code in range(sys.maxunicode + 1):
        if 0xD800 <= code < 0xE000 or not matches(chr(code)):
            continue
        if runs and runs[-1][1] == code - 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
    return "[" + "".join(f"\\x{{{a:x}}}" if a == b else f"\\x{{{a:x}}}-\\x{{{b:x}}}" for a, b in runs) + "]"
