"""Pool: the segments that save most when all the others are there, found by dropping the least useful in rounds.

A segment's value is what the text would cost more if its uses were forbidden one by one: segments that another path
of the same length replaces are worth nothing, however often they are used. Nor is a segment that only one place uses:
what it saves in one fold of a source counts as far as the other folds use it too. The segmenter searches every line by
itself, so the figures of a source are sums of whole numbers over its parts, wherever they were measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from attrs import evolve, field, frozen

from tokframe.training.progress import SILENT, Reporter
from tokframe_dictionary.mining.coverage import Required
from tokframe_dictionary.mining.parts import cut
from tokframe_dictionary.mining.sources import Source, weigh
from tokframe_dictionary.mining.workers import Workers
from tokframe_dictionary.segmenter.segmenter import Segmenter
from tokframe_dictionary.vocabulary.table import SINGLE_BYTES

if TYPE_CHECKING:
    from tokframe_dictionary.mining.aims import Aim
    from tokframe_dictionary.mining.config import SelectionConfig

__all__ = ["Pool", "Pruning", "measure_part"]

#: Share of a plain estimate (uses times bytes saved) that decides between segments of equal value.
_USE_WEIGHT = 0.01
#: Share that counts of what a segment saves in a fold which alone uses it: it decides between those of one fold.
_ONE_FOLD_WEIGHT = 0.02
#: Above this multiple of the size wanted, plain use decides: value takes three times as long and ranks alike there.
COARSE_RATIO = 8
#: Share of segments that survives a round by plain use.
COARSE_KEEP = 0.4
#: Above this multiple of the size wanted, rounds keep less: near the end, where segments that stand in for each other
#: must not be dropped all at once, few at a time are.
EARLY_RATIO, EARLY_KEEP = 2.2, 0.6
#: Share of segments that survives a round of ranking, and how many are ranked by their value alone.
RANK_KEEP, SMALLEST_RANKED = 0.7, 512
#: Bytes of a source that are measured as one, by default.
PART_BYTES = 8 << 20


@frozen(kw_only=True, eq=False)
class Pool:
    """Learned segments, most valuable first, and how the sources use them.

    `value` (segments,) is in weighted tokens; `ranks` (segments,) is the order in which smaller vocabularies keep them;
    `counts` (segments,) and `byte_counts` (256,) are uses in all sources; `tokens` and `weights` are by source.
    """

    segments: tuple[bytes, ...] = field(repr=False)
    value: npt.NDArray[np.float64] = field(repr=False)
    ranks: npt.NDArray[np.int64] = field(repr=False)
    counts: npt.NDArray[np.int64] = field(repr=False)
    byte_counts: npt.NDArray[np.int64] = field(repr=False)
    tokens: Mapping[str, int]
    weights: Mapping[str, float]

    def __len__(self) -> int:
        return len(self.segments)

    def by_use(self) -> Pool:
        """The same segments, most used first: the order of ids."""
        order = np.argsort(-self.counts, kind="stable")
        segments = tuple(self.segments[i] for i in order)
        value, ranks, counts = self.value[order], self.ranks[order], self.counts[order]
        return evolve(self, segments=segments, value=value, ranks=ranks, counts=counts)


def measure_part(data: bytes | memoryview, segmenter: Segmenter, coarse: bool) -> npt.NDArray[np.int64]:
    """Segment a part of a text that ends where `parts.cut` cuts: figures that add up over parts.

    (2, 256 + segments) int64, single bytes first: uses, and what the part would cost more if each use by itself were
    forbidden. `coarse` leaves out the second row, which costs most: (1, 256 + segments).
    """
    return np.stack([segmenter.usage(data)] if coarse else segmenter.savings(data))


@frozen(kw_only=True, eq=False)
class Pruning:
    """How segments are dropped, on which text; deterministic.

    `required` segments are kept whatever their value, where they are among those given. `fixed` ones are always there
    and never counted: the segments of a vocabulary that is extended. An `aim` weighs the sources before each round by
    their tokens in the last. `workers` measure parts of about `part` bytes side by side, which changes no result.
    """

    sources: Sequence[Source]
    config: SelectionConfig
    required: Required = field(factory=Required)
    fixed: Sequence[bytes] = ()
    aim: Aim | None = None
    workers: Workers = field(factory=lambda: Workers(count=1))
    part: int = PART_BYTES
    reporter: Reporter = SILENT

    def prune(self, segments: Sequence[bytes], size: int) -> Pool:
        """Keep the `size` best segments (fewer if fewer are given), among them those required.

        Each round segments all sources with what is left and keeps the fraction `config.keep`, above 2.2 times `size`
        at most 60%; above 8 times as many as there are to be, `fixed` ones included, rounds go by plain use instead of
        value, keep 40% and end there.
        Of what a segment saves in one of the `folds` of a source, the share `uses in the others / support` counts, at
        most all. `breadth` below 1 favors segments that several sources use: values are joined as `(sum of v **
        breadth) ** (1 / breadth)`. Raises: TrainingError if a worker is lost.
        """
        there = set(self.fixed)
        left = [segment for segment in dict.fromkeys(segments) if len(segment) > 1 and segment not in there]
        kept = set(self.required.all).intersection(left)
        many = COARSE_RATIO * (size + len(self.fixed))
        sources = self.sources
        if self.aim:
            self._stage(f"weighing sources with {len(left):,} segments")
            sources = weigh(sources, self.aim, self._measure(left, sources, True).tokens)
        while True:
            coarse = len(left) > many
            self._stage(f"pruning {len(left):,} segments")
            pool = self._measure(left, sources, coarse)
            if len(left) <= size:
                density = self._bytes / max(1, sum(pool.tokens.values()))
                self.reporter.note(f"{len(left):,} segments, {density:.3f} bytes per token")
                return pool
            if self.aim:
                sources = weigh(sources, self.aim, pool.tokens)
            least, share = size, self.config.keep
            if coarse:
                least, share = many, COARSE_KEEP
            elif len(left) > EARLY_RATIO * size:
                least, share = int(EARLY_RATIO * size), min(EARLY_KEEP, self.config.keep)
            others = [segment for segment in pool.segments if segment not in kept]
            left = [segment for segment in pool.segments if segment in kept]
            left += others[: max(0, max(least, int(len(pool) * share)) - len(left))]

    def rank(self, pool: Pool) -> Pool:
        """Return the pool with its ranks: pruning goes on, and what is dropped last is kept by the smallest vocabulary.

        At each size the required segments of a vocabulary of that size are kept (`coverage.Required.within`). Below 512
        segments value decides. Raises: TrainingError if a worker is lost.
        """
        sources = self.sources
        last: list[bytes] = []  # the dropped ones, from the last to the first
        measured = pool
        while True:
            size = max(SMALLEST_RANKED, int(len(measured) * RANK_KEEP))
            kept = self.required.within(size)
            ordered = sorted(measured.segments, key=lambda segment: segment not in kept)
            if len(measured) <= SMALLEST_RANKED:
                break
            last = ordered[size:] + last
            if self.aim:
                sources = weigh(sources, self.aim, measured.tokens)
            self._stage(f"ranking {size:,} segments")
            measured = self._measure(ordered[:size], sources, False)
        places = {segment: place for place, segment in enumerate(ordered + last)}
        return evolve(pool, ranks=np.asarray([places[segment] for segment in pool.segments], np.int64))

    @property
    def _bytes(self) -> int:
        return sum(len(source.data) for source in self.sources)

    def _stage(self, name: str) -> None:
        self.reporter.stage(name, self._bytes / 1e6, "MB")

    def _measure(self, segments: Sequence[bytes], sources: Sequence[Source], coarse: bool) -> Pool:
        """Segment all sources once; the segments come back ordered by value."""
        every = [*SINGLE_BYTES, *segments, *self.fixed]
        own = slice(256, 256 + len(segments))
        segmenter = Segmenter(every, range(len(every)), block=self.config.block)
        spared = np.fromiter(map(len, segments), np.float64, len(segments)) - 1
        value = np.zeros(len(segments))
        counts = np.zeros(len(every), np.int64)
        tokens: dict[str, int] = {}
        # Sums of floats depend on their order: that of the sources, each once all of its parts are summed.
        for source, folds in zip(sources, self._measure_folds(sources, segmenter, coarse), strict=True):
            uses = np.sum([fold[0] for fold in folds], axis=0)
            saved = np.zeros(len(segments))
            for fold in folds:
                used = fold[0, own]
                gain = used * spared if coarse else fold[1, own] + _USE_WEIGHT * used * spared
                saved += gain if len(folds) == 1 else gain * _counting(uses[own] - used, self.config.support)
            value += (source.weight * saved) ** self.config.breadth
            counts += uses
            tokens[source.name] = tokens.get(source.name, 0) + int(uses.sum())
        value **= 1 / self.config.breadth
        order = np.argsort(-value, kind="stable")
        return Pool(
            segments=tuple(segments[i] for i in order),
            value=value[order],
            ranks=np.arange(len(segments)),
            counts=counts[own][order],
            byte_counts=counts[:256],
            tokens=tokens,
            weights={source.name: source.weight for source in sources},
        )

    def _measure_folds(
        self, sources: Sequence[Source], segmenter: Segmenter, coarse: bool
    ) -> Iterator[list[npt.NDArray[np.int64]]]:
        """Yield the measures of the folds of each source, in order, whatever order its parts are done in."""
        left = [0] * len(sources)
        tasks = []
        sums: list[list[npt.NDArray[np.int64]]] = []
        nothing = measure_part(b"", segmenter, coarse)
        for number, source in enumerate(sources):
            sums.append([])
            for fold in cut(source.data, -(-len(source.data) // self.config.folds)) or [memoryview(b"")]:
                for text in cut(fold, self.part) or [fold]:
                    left[number] += 1
                    tasks.append(((number, len(sums[number]), len(text)), (text, segmenter, coarse)))
                sums[number].append(nothing)
        done, turn = 0, 0
        for (number, fold_number, size), measures in self.workers.run(measure_part, tasks):
            sums[number][fold_number] = sums[number][fold_number] + measures
            left[number] -= 1
            done += size
            self.reporter.advance(done / 1e6, source=sources[number].name)
            while turn < len(sources) and not left[turn]:
                yield sums[turn]
                sums[turn] = []
                turn += 1


def _counting(others: npt.NDArray[np.int64], support: float) -> npt.NDArray[np.float64]:
    """The share that counts of what segments save in a fold, from their uses in the others."""
    return _ONE_FOLD_WEIGHT + (1 - _ONE_FOLD_WEIGHT) * np.minimum(1.0, others / support)
