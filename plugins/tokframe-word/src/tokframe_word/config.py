"""WordConfig: the training settings of the tokenizer "word"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import field, frozen

from tokframe import setting
from tokframe.corpus.sources import weight_issues
from tokframe.tokenizer.table import SPECIAL_TOKENS

__all__ = ["WordConfig"]


@frozen(kw_only=True)
class WordConfig:
    """`vocab_size` includes the special tokens; a small corpus may give fewer ids."""

    #: number of ids, special tokens included; a small corpus may give fewer
    vocab_size: int = setting(32768, at_least=len(SPECIAL_TOKENS) + 1, at_most=2**31 - 1)  # a word; ids are int32
    #: how often the text of a source is read, by name or pattern such as "help-*"; 0.25 is a quarter of its lines
    weights: Mapping[str, float] = field(factory=dict)

    def issues(self) -> Iterator[tuple[str, str]]:
        """Yield `(field, text)` for what is no weight."""
        yield from ((f"weights.{source}", problem) for source, problem in weight_issues(self.weights))
