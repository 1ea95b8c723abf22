"""The pattern of the tokenizer "word" for Hugging Face: the same pieces, with letters and digits listed one by one.

What Python and Oniguruma take for a letter or a digit differs, and differs between their versions too.
"""

from __future__ import annotations

import re
import sys

from tokframe_word.marks import mark_class
from tokframe_word.pattern import JOINER, LETTER, UNSPACED

__all__ = ["pattern"]


def pattern() -> str:
    """Return the pattern as Oniguruma reads it; every character is in exactly one match."""
    parts = (LETTER, r"\d", f"[{UNSPACED}]", f"[{mark_class()}]", JOINER)
    letter, digit, unspaced, mark, joiner = map(_listed, parts)
    return (
        f"{letter}++(?:(?:{mark}++|{joiner}(?={letter})){letter}*+)*+"
        "| {1,16}|\\n{1,4}|\\t{1,8}|\\r\\n"
        f"|{digit}{{1,3}}"
        f"|{unspaced}{mark}*+"
        "|[\\s\\S]"
    )


def _listed(expression: str) -> str:
    """Return the characters that Python matches, as a class of code points with runs of neighbours as ranges."""
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
