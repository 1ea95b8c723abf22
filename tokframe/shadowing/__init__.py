"""Shadow mode: answer with one tokenizer and try another on the same texts."""

from __future__ import annotations

from tokframe.shadowing.tokenizer import shadow

__all__ = ["shadow"]
