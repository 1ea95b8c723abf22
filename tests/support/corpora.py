"""Corpora of tests: a text of several lines and scripts, and a corpus read as one text."""

from __future__ import annotations

from tokframe.corpus.files import Corpus

__all__ = ["TEXT", "joined"]

TEXT = "one line\nzwei Zeilen: ä ö ü\n三行\n"


def joined(paths, on_error="stop"):
    return "".join(Corpus.open(paths, on_error=on_error).documents())
