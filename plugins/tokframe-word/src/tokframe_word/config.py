"""WordConfig: the training settings of the tokenizer "word"."""

from __future__ import annotations

from attrs import frozen

from tokframe import setting
from tokframe.tokenizer.table import SPECIAL_TOKENS

__all__ = ["WordConfig"]


@frozen(kw_only=True)
class WordConfig:
    """`vocab_size` includes the special tokens; a small corpus may give fewer ids."""

    vocab_size: int = setting(32768, at_least=len(SPECIAL_TOKENS) + 1, at_most=2**31 - 1)  # a word; ids are int32
