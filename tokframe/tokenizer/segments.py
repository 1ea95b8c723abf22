"""Segments: a text as a tokenizer segments it, in pieces of whole characters that can be shown."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from html import escape

from attrs import frozen

from tokframe.storage.printable import printable

__all__ = ["Segment", "SegmentedText", "segmented", "shown"]

_COLORS = 4  # that take turns, so that neighbors differ
_ANSI = (46, 43, 42, 45)  # background colors of a terminal
#: Translucent, so that they suit light and dark notebooks alike.
_STYLE = """<style>
.tokframe-cut {
  font-family: ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.75;
}
.tokframe-cut .t0 { background: #1f6feb48; } .tokframe-cut .t1 { background: #d9a00d58; }
.tokframe-cut .t2 { background: #1a8f4a48; } .tokframe-cut .t3 { background: #b0309c48; }
.tokframe-cut span { border-radius: 3px; padding: .12em 0; } .tokframe-cut .loose { border: 1px dotted; }
.tokframe-cut sub { font-size: .65em; opacity: .7; user-select: none; }
</style>"""


@frozen(kw_only=True)
class Segment:
    """A piece of text and the ids that spell it: one, or several where they share a character between them.

    `exact` is False where the ids do not spell the text; then `text` is what the one id stands for.
    """

    text: str
    ids: tuple[int, ...]
    exact: bool = True


@frozen(kw_only=True, repr=False)
class SegmentedText:
    """A text in segments, in order, as `ITokenizer.show` returns it: colored in a notebook and in a terminal."""

    tokenizer: str
    segments: tuple[Segment, ...]

    @property
    def tokens(self) -> int:
        """Number of ids."""
        return sum(len(segment.ids) for segment in self.segments)

    def __repr__(self) -> str:
        colored = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        pieces = [printable(segment.text) for segment in self.segments]
        if colored:
            text = "".join(f"\x1b[30;{_ANSI[n % _COLORS]}m{piece}\x1b[0m" for n, piece in enumerate(pieces))
        else:
            text = "|".join(pieces)
        return f"{text}\n{self.tokens:,} tokens of {self.tokenizer}"

    def to_html(self) -> str:
        """Return the segments as HTML elements, every text escaped; a page or notebook gives them their colors."""
        return "".join(self._elements())

    def _repr_html_(self) -> str:
        count = f"<small>{self.tokens:,} tokens of {escape(self.tokenizer)}</small>"
        return f'{_STYLE}<div class="tokframe-cut" dir="auto">{self.to_html()}</div>{count}'

    def _elements(self) -> Iterator[str]:
        for number, segment in enumerate(self.segments):
            loose = "" if segment.exact else " loose"
            text = escape(printable(segment.text)).replace("\n", "\u21b5\n")
            several = f"<sub>{len(segment.ids)}</sub>" if len(segment.ids) > 1 else ""
            title = " ".join(map(str, segment.ids))
            yield f'<span class="t{number % _COLORS}{loose}" title="id {title}">{text}{several}</span>'
            yield " " if loose else ""


def segmented(data: bytes, ids: Sequence[int], spelled: Sequence[bytes], tokenizer: str) -> SegmentedText:
    """Return the UTF-8 text `data` in segments; `spelled` are the bytes of each of its ids."""
    if b"".join(spelled) == data:
        found = tuple(_whole_characters(ids, spelled, data))
    else:
        pairs = zip(ids, spelled, strict=True)
        found = tuple(Segment(text=shown(piece), ids=(token,), exact=False) for token, piece in pairs)
    return SegmentedText(tokenizer=tokenizer, segments=found)


def shown(text: bytes) -> str:
    """Return bytes as something that can be read: text with its controls escaped, or hex where it is not UTF-8."""
    try:
        decoded = text.decode()
    except UnicodeDecodeError:
        return "".join(f"\\x{byte:02x}" for byte in text)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in decoded)


def _whole_characters(ids: Sequence[int], spelled: Sequence[bytes], data: bytes) -> Iterator[Segment]:
    start = end = first = 0
    for number, piece in enumerate(spelled, 1):
        end += len(piece)
        if end == len(data) or data[end] & 0xC0 != 0x80:  # the next byte begins a character
            yield Segment(text=data[start:end].decode(), ids=tuple(ids[first:number]))
            start, first = end, number
