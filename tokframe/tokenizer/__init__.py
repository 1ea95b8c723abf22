"""ITokenizer and what is derived from it: batches, streams, offsets."""

from __future__ import annotations

from tokframe.tokenizer.base import ITokenizer

__all__ = ["ITokenizer"]
