"""Printable text: what a terminal or a page shows of text that came from outside. Escaping markup is left to them."""

from __future__ import annotations

import re

__all__ = ["printable", "printable_json"]

# Controls act on a terminal, marks without width hide, and marks of direction turn what stands beside them. Joiners
# stay, as they make emoji one and some scripts need them; so do newline and tab.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\ufffe\uffff]"
)


def printable(text: str) -> str:
    r"""Return text with controls, lone surrogates and marks without width written as escapes: `\x1b`, `\u202e`."""
    return _UNSEEN.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def printable_json(text: str) -> str:
    """Return JSON text with the same characters written as JSON's own escapes, so that the data are the same."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found.group()):04x}", text)
