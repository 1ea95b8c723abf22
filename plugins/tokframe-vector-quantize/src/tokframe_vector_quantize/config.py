"""What a config may say about the quantizers "rfsq" and "lfq"."""

from __future__ import annotations

import math
from collections.abc import Iterator

from attrs import frozen

__all__ = ["LookupFreeConfig", "ResidualFSQConfig"]

Issue = tuple[str, str]


@frozen(kw_only=True)
class ResidualFSQConfig:
    """`quantizers` rounds of FSQ with `levels`: `prod(levels) ** quantizers` codes."""

    levels: tuple[int, ...] = (5, 5, 5, 5, 5)
    quantizers: int = 2
    vocab_size: int = 32768

    def issues(self) -> Iterator[Issue]:
        """Yield `(field, text)` for everything wrong."""
        if not self.levels:
            yield "levels", "is empty; give at least one level, such as [5, 5, 5, 5, 5]"
        for level in self.levels:
            if level < 2:
                yield "levels", f"has {level}; a dimension needs at least 2 levels"
        if self.quantizers < 1:
            yield "quantizers", f"is {self.quantizers}, must be at least 1"
        size = math.prod(self.levels) ** max(self.quantizers, 1)
        if math.prod(self.levels) > 2**16:  # the library keeps a table of all codes of a round
            yield "levels", f"span {math.prod(self.levels)} codes a round, more than 65536; add a round instead"
        if size >= 2**62:
            yield "quantizers", f"make {size} codes, more than an int64 index holds"
        yield from _fits(self.vocab_size, size, "the levels and rounds span")


@frozen(kw_only=True)
class LookupFreeConfig:
    """`bits` dimensions, each a sign: `2 ** bits` codes. The weights are those of the losses of the paper."""

    bits: int = 16
    vocab_size: int = 32768
    entropy_weight: float = 0.1
    commitment_weight: float = 0.25
    diversity: float = 1.0

    def issues(self) -> Iterator[Issue]:
        """Yield `(field, text)` for everything wrong."""
        if not 1 <= self.bits <= 16:
            yield "bits", f"is {self.bits}; 1 to 16, as training compares each latent with each of 2**bits codes"
        else:
            yield from _fits(self.vocab_size, 2**self.bits, f"{self.bits} bits span")
        for name in ("entropy_weight", "commitment_weight", "diversity"):
            if getattr(self, name) < 0:
                yield name, f"is {getattr(self, name)}, must not be negative"


def _fits(vocab_size: int, size: int, what: str) -> Iterator[Issue]:
    if not 1 <= vocab_size <= size:
        yield "vocab_size", f"is {vocab_size}, but {what} only {size} codes"
