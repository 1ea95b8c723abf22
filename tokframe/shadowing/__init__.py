"""Answer with one tokenizer and try another on the same text."""

from __future__ import annotations

from tokframe.shadowing.tokenizer import shadow

__all__ = ["shadow"]
