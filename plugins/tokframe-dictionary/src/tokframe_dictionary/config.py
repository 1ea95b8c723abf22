"""DictionaryConfig: what the tokenizer "dictionary" is trained with."""

from __future__ import annotations

from attrs import field, frozen

from tokframe import setting
from tokframe_dictionary.mining.config import MiningConfig, SelectionConfig
from tokframe_dictionary.vocabulary.table import FIRST_LEARNED

__all__ = ["DictionaryConfig"]


@frozen(kw_only=True)
class DictionaryConfig:
    """`vocab_size` counts special tokens and single bytes too; a small corpus may give fewer ids."""

    #: number of ids, special tokens and single bytes included; a small corpus may give fewer
    vocab_size: int = setting(32768, at_least=FIRST_LEARNED, at_most=2**31 - 1)  # every byte; ids are int32
    mining: MiningConfig = field(factory=MiningConfig)
    selection: SelectionConfig = field(factory=SelectionConfig)
