"""Candidates: frequent substrings of the sources, whole characters only, with newlines only at the end.

Counts are raw (occurrences may overlap); what a candidate saves among others is decided in `pruning`.
A source that is cut into parts is counted exactly in two rounds (Savasere, Omiecinski and Navathe, "An efficient
algorithm for mining association rules in large databases", VLDB 1995): what occurs often enough in the whole does so,
for its share, in some part; so what is frequent in some part is counted in every part, and the sums decide.

Where words are kept whole (see `words`), a candidate lies within a word or, for phrases, is whole words, and only its
occurrences of that kind count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from tokframe.training.progress import SILENT, Reporter
from tokframe_dictionary.mining.counts import Counts, count_part, recount_part, sum_by_key
from tokframe_dictionary.mining.parts import cut
from tokframe_dictionary.mining.words import Words
from tokframe_dictionary.mining.workers import Workers
from tokframe_dictionary.segmenter.reference import MAX_SEGMENT_BYTES

if TYPE_CHECKING:
    from tokframe_dictionary.mining.config import MiningConfig
    from tokframe_dictionary.mining.sources import Source

__all__ = ["Candidates", "mine", "threshold"]

#: Bytes under which a part is not worth a second round.
MIN_PART_BYTES = 16 << 20
#: Occurrences asked for in a part below which nearly every substring of it would be a candidate.
MIN_PART_COUNT = 8


@frozen(kw_only=True, eq=False)
class Candidates:
    """`segments` of 2 to 16 bytes, most promising first; `counts` (segments,) are weighted occurrences."""

    segments: tuple[bytes, ...] = field(repr=False)
    counts: npt.NDArray[np.float64] = field(repr=False)

    def __len__(self) -> int:
        return len(self.segments)


def mine(
    sources: Sequence[Source],
    config: MiningConfig,
    *,
    longest: int = MAX_SEGMENT_BYTES,
    workers: Workers | None = None,
    part: int | None = None,
    reporter: Reporter = SILENT,
) -> Candidates:
    """Find the substrings that occur at least `least` times and `frequency` times per byte in some source.

    With `words`, those that keep words whole by its rule. The `limit` best by weighted count times bytes saved are
    kept. `workers` (by default `config.workers` threads) and `part`, the bytes of a source that are counted as one
    (None lets the number of workers decide), change how long it takes and nothing else. Needs, per worker, about five
    bytes of memory per byte of the largest part and 256 MB; and 100 bytes per candidate of a source.
    Raises: TrainingError if a worker is lost.
    """
    workers = workers or Workers(count=config.workers)
    total = sum(len(source.data) for source in sources)
    enough = [max(config.least, int(len(source.data) * config.frequency)) for source in sources]
    parts = [
        cut(source.data, part or _part_size(len(source.data), enough[number], total, workers.number))
        for number, source in enumerate(sources)
    ]
    reporter.stage("mining segments", total / 1e6, "MB")
    counted = _count(sources, parts, enough, longest, config.rule, workers, reporter)
    # Sums of floats depend on their order: that of the sources, whichever was done first.
    keys, count = sum_by_key(
        (counts.keys for counts in counted),
        (counts.counts * source.weight for counts, source in zip(counted, sources, strict=True)),
        np.float64,
    )
    best = np.argsort(-count * (keys[:, 2].astype(np.float64) - 1), kind="stable")[: config.limit]
    segments = Counts(keys=keys[best], counts=count[best]).segments()
    valid = [i for i, segment in enumerate(segments) if _is_utf8(segment)]
    reporter.note(f"{len(valid):,} candidate segments of 2 to {longest} bytes")
    return Candidates(segments=tuple(segments[i] for i in valid), counts=count[best][valid])


def threshold(enough: int, part: int, whole: int) -> int:
    """Return how often a substring must occur in `part` of `whole` bytes to be counted everywhere.

    One that occurs `enough` times in the whole does so in at least one part: were it below this in every part, the
    sum would be below `enough`.
    """
    return max(1, -(-enough * part // max(1, whole)))


def _part_size(size: int, enough: int, total: int, workers: int) -> int:
    """Bytes of a part: a whole source where workers can share out whole sources, else a fair share of all text."""
    if workers == 1 or enough <= MIN_PART_COUNT:
        return size
    return max(MIN_PART_BYTES, -(-size * MIN_PART_COUNT // enough), total * 5 // (4 * workers))


def _count(
    sources: Sequence[Source],
    parts: Sequence[Sequence[memoryview]],
    enough: Sequence[int],
    longest: int,
    words: Words,
    workers: Workers,
    reporter: Reporter,
) -> list[Counts]:
    """The frequent substrings of each source and their exact counts."""
    found: list[Counts] = [Counts.merge([]) for _ in sources]
    work = sum(len(part) * (1 if len(of) == 1 else 2) for of in parts for part in of)
    total, done = sum(len(part) for of in parts for part in of), 0

    def advance(number: int, size: int) -> None:
        nonlocal done
        done += size
        reporter.advance(done / max(1, work) * total / 1e6, source=sources[number].name, found=len(found[number]))

    # The largest parts before the others, so that workers end together.
    tasks = sorted(((number, part) for number, of in enumerate(parts) for part in of), key=lambda task: -len(task[1]))
    wholes = [sum(map(len, of)) for of in parts]
    first = (
        ((number, len(part)), (part, longest, threshold(enough[number], len(part), wholes[number]), words))
        for number, part in tasks
    )
    for (number, size), counts in workers.run(count_part, first):
        found[number] = Counts.merge([found[number], counts])
        advance(number, size)
    second = (
        ((number, len(part)), (part, found[number], words))
        for number, of in enumerate(parts)
        if len(of) > 1
        for part in of
    )
    exact: dict[int, Counts] = {}
    for (number, size), counts in workers.run(recount_part, second):
        exact[number] = Counts.merge([exact[number], counts]) if number in exact else counts
        advance(number, size)
    return [
        exact[number].at_least(enough[number]) if number in exact else counts for number, counts in enumerate(found)
    ]


def _is_utf8(segment: bytes) -> bool:
    try:
        segment.decode()
    except UnicodeDecodeError:
        return False
    return True
