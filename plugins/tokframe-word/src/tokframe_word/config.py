"""What a word-level tokenizer is trained with."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from tokframe_word.special import SPECIAL

__all__ = ["WordConfig"]


@frozen(kw_only=True)
class WordConfig:
    """`vocab_size` is the number of ids, the special tokens among them; a small corpus may give fewer."""

    vocab_size: int = 32768

    def issues(self) -> Iterator[tuple[str, str]]:
        """Yield `(field, problem)`."""
        least = len(SPECIAL) + 1
        if self.vocab_size < least:
            yield (
                "vocab_size",
                f"{self.vocab_size} is too small: {len(SPECIAL)} special tokens and a word need {least}",
            )
        if self.vocab_size > 2**31 - 1:
            yield "vocab_size", f"{self.vocab_size} is too large: ids are int32, use at most {2**31 - 1}"
