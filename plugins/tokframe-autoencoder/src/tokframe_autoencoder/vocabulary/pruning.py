"""Pool: the segments that save most when all the others are there, found by dropping the least useful in rounds.

A segment's value is what the text would cost more if its uses were forbidden one by one: segments that another path
of the same length replaces are worth nothing, however often they are used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from tokframe.progress import SilentReporter
from tokframe_autoencoder.segmenter import Segmenter

if TYPE_CHECKING:
    from tokframe.progress import Reporter
    from tokframe_autoencoder.vocabulary.sources import Source

__all__ = ["Pool", "prune"]

FloatArray = npt.NDArray[np.float64]
_BYTES = tuple(bytes([value]) for value in range(256))
#: Share of a plain estimate (uses times bytes saved) that decides between segments of equal value.
_TIE = 0.01
#: Above this multiple of the size wanted, plain use decides: value costs three times as long and agrees that far out.
_COARSE = 8


@frozen(kw_only=True, eq=False)
class Pool:
    """Learned segments, most valuable first, and how the sources use them.

    `value` and `use` (pieces,) are weighted tokens; `counts` (pieces,) and `byte_counts` (256,) plain uses in all
    sources; `tokens` is by source.
    """

    pieces: tuple[bytes, ...] = field(repr=False)
    value: FloatArray = field(repr=False)
    use: FloatArray = field(repr=False)
    counts: npt.NDArray[np.int64] = field(repr=False)
    byte_counts: npt.NDArray[np.int64] = field(repr=False)
    tokens: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.pieces)

    def by_use(self) -> Pool:
        """The same segments, most used first: the order of ids."""
        order = np.argsort(-self.counts, kind="stable")
        return Pool(
            pieces=tuple(self.pieces[i] for i in order),
            value=self.value[order],
            use=self.use[order],
            counts=self.counts[order],
            byte_counts=self.byte_counts,
            tokens=self.tokens,
        )


def prune(
    pieces: Sequence[bytes],
    sources: Sequence[Source],
    size: int,
    *,
    keep: float = 0.8,
    first: float = 0.4,
    breadth: float = 0.8,
    block: int = 4096,
    reporter: Reporter | None = None,
) -> Pool:
    """Keep the `size` best segments (fewer if fewer are given); deterministic.

    Each round segments all sources with what is left and keeps the fraction `keep`; above 8 times `size` rounds go
    by plain use instead of value, keep `first` and end at 8 times `size`. `breadth` below 1 favours segments that
    several sources use: values are joined as `(sum of v ** breadth) ** (1 / breadth)`.
    """
    report = reporter or SilentReporter()
    left = [piece for piece in dict.fromkeys(pieces) if len(piece) > 1]
    total = sum(len(source.data) for source in sources)
    while True:
        coarse = len(left) > _COARSE * size
        report.stage(f"pruning {len(left):,} segments", total / 1e6, "MB")
        pool = _weigh(left, sources, breadth, coarse, block, report)
        if len(left) <= size:
            report.note(f"{len(left):,} segments, {total / max(1, sum(pool.tokens.values())):.3f} bytes per token")
            return pool
        kept = max(_COARSE * size, int(len(left) * first)) if coarse else max(size, int(len(left) * keep))
        left = list(pool.pieces[:kept])


def _weigh(
    pieces: Sequence[bytes], sources: Sequence[Source], breadth: float, coarse: bool, block: int, report: Reporter
) -> Pool:
    """Segment all sources once; the segments come back ordered by value."""
    segmenter = Segmenter([*_BYTES, *pieces], range(len(pieces) + 256), block=block)
    spared = np.fromiter(map(len, pieces), np.float64, len(pieces)) - 1
    value, use = np.zeros((2, len(pieces)))
    counts = np.zeros(len(pieces) + 256, np.int64)
    tokens: dict[str, int] = {}
    done = 0
    for source in sources:
        if coarse:
            uses = segmenter.usage(source.data)
            saved = uses[256:] * spared
        else:
            uses, loss = segmenter.savings(source.data)
            saved = loss[256:] + _TIE * uses[256:] * spared
        value += (source.weight * saved) ** breadth
        use += source.weight * uses[256:]
        counts += uses
        tokens[source.name] = tokens.get(source.name, 0) + int(uses.sum())
        done += len(source.data)
        report.advance(done / 1e6, source=source.name)
    value **= 1 / breadth
    order = np.argsort(-value, kind="stable")
    return Pool(
        pieces=tuple(pieces[i] for i in order),
        value=value[order],
        use=use[order],
        counts=counts[256:][order],
        byte_counts=counts[:256],
        tokens=tokens,
    )
