"""Formats: the file formats of a corpus, one module each. A new one is a module and its place in `FORMATS`."""

from __future__ import annotations

from tokframe.corpus.file import Format
from tokframe.corpus.formats.jsonl import JsonLines
from tokframe.corpus.formats.parquet import Parquet
from tokframe.corpus.formats.text import Text

__all__ = ["FORMATS", "TEXT", "format_of"]

#: What every file is that no other format claims.
TEXT = Text()
FORMATS: tuple[Format, ...] = (TEXT, JsonLines(), Parquet())


def format_of(suffix: str) -> Format:
    """Return the format of files with this suffix (lower case, with its dot)."""
    return next((each for each in FORMATS if suffix in each.suffixes), TEXT)
