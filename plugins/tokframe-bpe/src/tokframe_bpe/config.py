"""BPEConfig: the training settings of the tokenizer "bpe"."""

from __future__ import annotations

from attrs import frozen

from tokframe import setting
from tokframe.tokenizer.table import SPECIAL_TOKENS

__all__ = ["BPEConfig"]


@frozen(kw_only=True)
class BPEConfig:
    """`vocab_size` includes special tokens and single bytes; a small corpus may give fewer ids.

    A pair that occurs fewer than `min_frequency` times is not merged.
    """

    vocab_size: int = setting(32768, at_least=len(SPECIAL_TOKENS) + 256, at_most=2**31 - 1)  # every byte; ids are int32
    min_frequency: int = setting(2, at_least=1)
