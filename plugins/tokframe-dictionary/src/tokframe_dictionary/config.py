"""DictionaryConfig: what the tokenizer "dictionary" is trained with."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import field, frozen

from tokframe_dictionary.mining.config import MiningConfig, SelectionConfig
from tokframe_dictionary.vocabulary.table import FIRST_LEARNED

__all__ = ["DictionaryConfig"]


@frozen(kw_only=True)
class DictionaryConfig:
    """`vocab_size` counts special tokens and single bytes too; a small corpus may give fewer ids."""

    vocab_size: int = 32768
    mining: MiningConfig = field(factory=MiningConfig)
    selection: SelectionConfig = field(factory=SelectionConfig)

    def issues(self) -> Iterator[tuple[str, str]]:
        """Yield `(field, problem)`."""
        if self.vocab_size < FIRST_LEARNED:
            yield "vocab_size", f"is {self.vocab_size}; 4 special tokens and 256 single bytes need {FIRST_LEARNED}"
        if self.vocab_size > 2**31 - 1:
            yield "vocab_size", f"is {self.vocab_size}; ids are int32, use at most {2**31 - 1}"
