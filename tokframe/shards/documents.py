"""Documents of a unit of work: files in pieces, blocks between blank lines, lines, or records.

Reading and decoding are left to `tokframe.corpus`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tokframe.shards.planning import Unit

__all__ = ["documents"]

_BLANK_LINES = re.compile(r"\n(?:[ \t\r]*\n)+")
_LEADING = re.compile(r"(?:[ \t\r]*\n)+")
_MAX_BLOCK_CHARS = 16_000_000  # a longer block is cut after a line, so that memory stays bounded


def documents(unit: Unit, split: str) -> Iterator[str]:
    """Yield the documents of a unit in order, none of them empty. Raises: CorpusError naming file and place."""
    for span in unit.spans:
        pieces = span.file.documents(span.start, span.end)
        if span.file.format.has_records or split == "file":
            yield from pieces
        elif split == "line":
            yield from _lines(pieces)
        else:
            yield from _blocks(pieces)


def _lines(pieces: Iterator[str]) -> Iterator[str]:
    """Yield each line without its end, blank ones left out; pieces end with a line."""
    for piece in pieces:
        for line in piece.split("\n"):
            text = line.removesuffix("\r")
            if text and not text.isspace():
                yield text


def _blocks(pieces: Iterator[str]) -> Iterator[str]:
    """Yield what stands between blank lines, without the line end after it."""
    pending = ""
    for piece in pieces:
        *whole, pending = _BLANK_LINES.split(pending + piece)
        yield from filter(None, map(_trimmed, whole))
        if len(pending) > _MAX_BLOCK_CHARS:
            end = pending.rfind("\n") + 1 or len(pending)
            if text := _trimmed(pending[:end]):
                yield text
            pending = pending[end:]
    if text := _trimmed(pending):
        yield text


def _trimmed(block: str) -> str:
    """Return a block without blank lines before it and line ends after it; indentation is text."""
    leading = _LEADING.match(block)
    text = (block[leading.end() :] if leading else block).rstrip("\r\n")
    return "" if text.isspace() else text
