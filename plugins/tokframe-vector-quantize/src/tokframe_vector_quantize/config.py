"""Config classes of the quantizers "rfsq" and "lfq"."""

from __future__ import annotations

import math
from collections.abc import Iterator

from attrs import frozen

from tokframe import setting

__all__ = ["LookupFreeConfig", "ResidualFSQConfig"]


@frozen(kw_only=True)
class ResidualFSQConfig:
    """`quantizers` rounds of FSQ with `levels`: `prod(levels) ** quantizers` codes."""

    levels: tuple[int, ...] = setting((5, 5, 5, 5, 5), at_least=2)  #: numbers of bins in a round
    quantizers: int = setting(2, at_least=1, at_most=61)  #: rounds
    vocab_size: int = setting(32768, at_least=1)  #: ids to compile; the key outside of the sections

    def issues(self) -> Iterator[tuple[str, str]]:
        """Yield `(field, text)` for what the bounds do not say."""
        size = math.prod(self.levels) ** min(max(self.quantizers, 1), 62)  # 2**62 are too many already
        if math.prod(self.levels) > 2**16:  # the library keeps a table of all codes of a round
            yield "levels", f"span {math.prod(self.levels)} codes a round, more than 65536; add a round instead"
        if size >= 2**62:
            yield "quantizers", f"make {size} codes, more than an int64 index holds"
        yield from _fits(self.vocab_size, size, "the levels and rounds span")


@frozen(kw_only=True)
class LookupFreeConfig:
    """`bits` dimensions, each a sign: `2 ** bits` codes. The weights are those of the losses of the paper."""

    bits: int = setting(16, at_least=1, at_most=16)  #: training compares each latent with each of 2**bits codes
    vocab_size: int = setting(32768, at_least=1)  #: ids to compile; the key outside of the sections
    entropy_weight: float = setting(0.1, at_least=0)  #: weight of the entropy loss
    commitment_weight: float = setting(0.25, at_least=0)  #: weight of the pull on latents towards their code
    diversity: float = setting(1.0, at_least=0)  #: how much the entropy loss favors the use of all codes

    def issues(self) -> Iterator[tuple[str, str]]:
        """Yield `(field, text)` for what the bounds do not say."""
        yield from _fits(self.vocab_size, 2 ** min(max(self.bits, 0), 16), f"{self.bits} bits span")


def _fits(vocab_size: int, size: int, what: str) -> Iterator[tuple[str, str]]:
    if vocab_size > size:
        yield "vocab_size", f"is {vocab_size}, but {what} only {size} codes"
