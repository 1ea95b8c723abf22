"""What a BPE tokenizer is trained with."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from tokframe_bpe.model import SPECIAL

__all__ = ["BPEConfig"]


@frozen(kw_only=True)
class BPEConfig:
    """`vocab_size` counts special tokens and single bytes too; a small corpus may give fewer ids.

    A pair seen less than `min_frequency` times is not merged.
    """

    vocab_size: int = 32768
    min_frequency: int = 2

    def issues(self) -> Iterator[tuple[str, str]]:
        """Yield `(field, problem)`."""
        least = len(SPECIAL) + 256
        if self.vocab_size < least:
            yield (
                "vocab_size",
                f"{self.vocab_size} is too small: {len(SPECIAL)} special tokens and 256 bytes need {least}",
            )
        if self.vocab_size > 2**31 - 1:
            yield "vocab_size", f"{self.vocab_size} is too large: ids are int32, use at most {2**31 - 1}"
        if self.min_frequency < 1:
            yield "min_frequency", f"{self.min_frequency} is too small: at least 1"
