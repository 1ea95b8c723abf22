"""BPEConfig: the training settings of the tokenizer "bpe"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import field, frozen

from tokframe import setting
from tokframe.corpus.sources import weight_issues
from tokframe.tokenizer.table import SPECIAL_TOKENS

__all__ = ["BPEConfig"]


@frozen(kw_only=True)
class BPEConfig:
    """`vocab_size` includes special tokens and single bytes; a small corpus may give fewer ids.

    A pair that occurs fewer than `min_frequency` times is not merged.
    """

    #: number of ids, special tokens and single bytes included; a small corpus may give fewer
    vocab_size: int = setting(32768, at_least=len(SPECIAL_TOKENS) + 256, at_most=2**31 - 1)  # every byte; ids are int32
    min_frequency: int = setting(2, at_least=1)  #: occurrences below which a pair is not merged
    #: how often the text of a source is read, by name or pattern such as "help-*"; 0.25 is a quarter of its lines
    weights: Mapping[str, float] = field(factory=dict)

    def issues(self) -> Iterator[tuple[str, str]]:
        """Yield `(field, text)` for what is no weight."""
        yield from ((f"weights.{source}", problem) for source, problem in weight_issues(self.weights))
