"""The special tokens of a word-level tokenizer, by id. No text is ever cut into a piece spelt like one."""

from __future__ import annotations

__all__ = ["SPECIAL", "UNKNOWN"]

SPECIAL = ("<pad>", "<unk>", "<s>", "</s>")
UNKNOWN = 1
