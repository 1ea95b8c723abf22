"""Corpus: text files as a stream of documents."""

from __future__ import annotations

from tokframe.corpus.files import Corpus

__all__ = ["Corpus"]
