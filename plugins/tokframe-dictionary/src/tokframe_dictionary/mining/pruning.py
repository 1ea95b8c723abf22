"""Pool: the segments that save most when all the others are there, found by dropping the least useful in rounds.

A segment's value is what the text would cost more if its uses were forbidden one by one: segments that another path
of the same length replaces are worth nothing, however often they are used. The segmenter searches every line by
itself, so the figures of a source are sums of whole numbers over its parts, wherever they were measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from tokframe.training.progress import SilentReporter
from tokframe_dictionary.mining.parts import cut
from tokframe_dictionary.mining.workers import Workers
from tokframe_dictionary.segmenter.segmenter import Segmenter
from tokframe_dictionary.vocabulary.table import SINGLE_BYTES

if TYPE_CHECKING:
    from tokframe.training.progress import Reporter
    from tokframe_dictionary.mining.config import SelectionConfig
    from tokframe_dictionary.mining.sources import Source

__all__ = ["Measures", "Pool", "measure_part", "prune"]

FloatArray = npt.NDArray[np.float64]
#: Share of a plain estimate (uses times bytes saved) that decides between segments of equal value.
_USE_WEIGHT = 0.01
#: Above this multiple of the size wanted, plain use decides: value costs three times as long and agrees that far out.
COARSE_RATIO = 8
#: Share of segments that survives a round by plain use.
COARSE_KEEP = 0.4
#: Bytes of a source that are measured as one, by default.
PART_BYTES = 8 << 20


@frozen(kw_only=True, eq=False)
class Pool:
    """Learned segments, most valuable first, and how the sources use them.

    `value` and `use` (segments,) are weighted tokens; `counts` (segments,) and `byte_counts` (256,) plain uses in all
    sources; `tokens` is by source.
    """

    segments: tuple[bytes, ...] = field(repr=False)
    value: FloatArray = field(repr=False)
    use: FloatArray = field(repr=False)
    counts: npt.NDArray[np.int64] = field(repr=False)
    byte_counts: npt.NDArray[np.int64] = field(repr=False)
    tokens: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.segments)

    def by_use(self) -> Pool:
        """The same segments, most used first: the order of ids."""
        order = np.argsort(-self.counts, kind="stable")
        return Pool(
            segments=tuple(self.segments[i] for i in order),
            value=self.value[order],
            use=self.use[order],
            counts=self.counts[order],
            byte_counts=self.byte_counts,
            tokens=self.tokens,
        )


@frozen(kw_only=True, eq=False)
class Measures:
    """Figures of segments in a part of a text: `use` and `loss` (256 + segments,) int64, single bytes first.

    `loss` is what the part would cost more if each use by itself were forbidden; empty where it was not asked for.
    """

    use: npt.NDArray[np.int64] = field(repr=False)
    loss: npt.NDArray[np.int64] = field(repr=False)

    def merge(self, other: Measures) -> Measures:
        """Return the sums: the same in whatever order parts are merged."""
        return Measures(use=self.use + other.use, loss=self.loss + other.loss)


def measure_part(data: bytes | memoryview, segmenter: Segmenter, coarse: bool) -> Measures:
    """Segment a part of a text that ends where `parts.cut` cuts; `coarse` leaves out the loss, which costs most."""
    if coarse:
        return Measures(use=segmenter.usage(data), loss=np.zeros(0, np.int64))
    use, loss = segmenter.savings(data)
    return Measures(use=use, loss=loss)


def prune(
    segments: Sequence[bytes],
    sources: Sequence[Source],
    size: int,
    config: SelectionConfig,
    *,
    workers: Workers | None = None,
    part: int = PART_BYTES,
    reporter: Reporter | None = None,
) -> Pool:
    """Keep the `size` best segments (fewer if fewer are given); deterministic.

    Each round segments all sources with what is left and keeps the fraction `config.keep`; above 8 times `size` rounds
    go by plain use instead of value, keep 40% and end at 8 times `size`. `breadth` below 1 favors segments that
    several sources use: values are joined as `(sum of v ** breadth) ** (1 / breadth)`. `workers` measure parts of
    about `part` bytes side by side, which changes no result. Raises: TrainingError if a worker is lost.
    """
    report, workers = reporter or SilentReporter(), workers or Workers(count=1)
    left = [segment for segment in dict.fromkeys(segments) if len(segment) > 1]
    total = sum(len(source.data) for source in sources)
    while True:
        coarse = len(left) > COARSE_RATIO * size
        report.stage(f"pruning {len(left):,} segments", total / 1e6, "MB")
        pool = _weigh(left, sources, config, coarse, part, workers, report)
        if len(left) <= size:
            report.note(f"{len(left):,} segments, {total / max(1, sum(pool.tokens.values())):.3f} bytes per token")
            return pool
        least, share = (COARSE_RATIO * size, COARSE_KEEP) if coarse else (size, config.keep)
        left = list(pool.segments[: max(least, int(len(left) * share))])


def _weigh(
    segments: Sequence[bytes],
    sources: Sequence[Source],
    config: SelectionConfig,
    coarse: bool,
    part: int,
    workers: Workers,
    report: Reporter,
) -> Pool:
    """Segment all sources once; the segments come back ordered by value."""
    segmenter = Segmenter([*SINGLE_BYTES, *segments], range(len(segments) + 256), block=config.block)
    spared = np.fromiter(map(len, segments), np.float64, len(segments)) - 1
    value, use = np.zeros((2, len(segments)))
    counts = np.zeros(len(segments) + 256, np.int64)
    tokens: dict[str, int] = {}
    # Sums of floats depend on their order: that of the sources, each once all of its parts are summed.
    for source, measures in zip(sources, _measure(sources, segmenter, coarse, part, workers, report), strict=True):
        uses = measures.use
        saved = uses[256:] * spared if coarse else measures.loss[256:] + _USE_WEIGHT * uses[256:] * spared
        value += (source.weight * saved) ** config.breadth
        use += source.weight * uses[256:]
        counts += uses
        tokens[source.name] = tokens.get(source.name, 0) + int(uses.sum())
    value **= 1 / config.breadth
    order = np.argsort(-value, kind="stable")
    return Pool(
        segments=tuple(segments[i] for i in order),
        value=value[order],
        use=use[order],
        counts=counts[256:][order],
        byte_counts=counts[:256],
        tokens=tokens,
    )


def _measure(
    sources: Sequence[Source], segmenter: Segmenter, coarse: bool, part: int, workers: Workers, report: Reporter
) -> Iterator[Measures]:
    """Yield the measures of each source, in order, whatever order its parts are done in."""
    names = [source.name for source in sources]
    left = [0] * len(sources)
    tasks = []
    for number, source in enumerate(sources):
        for text in cut(source.data, part) or [memoryview(b"")]:
            left[number] += 1
            tasks.append(((number, len(text)), (text, segmenter, coarse)))
    sums: dict[int, Measures] = {}
    done, turn = 0, 0
    for (number, size), measures in workers.run(measure_part, tasks):
        sums[number] = sums[number].merge(measures) if number in sums else measures
        left[number] -= 1
        done += size
        report.advance(done / 1e6, source=names[number])
        while turn < len(sources) and not left[turn]:
            yield sums.pop(turn)
            turn += 1
