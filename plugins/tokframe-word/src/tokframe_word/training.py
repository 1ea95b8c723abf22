"""Training: count the pieces of a corpus. The vocabulary does not depend on the order of reading."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tokframe.errors import TrainingError
from tokframe_word.pattern import pieces

if TYPE_CHECKING:
    from tokframe.training.job import TrainJob

__all__ = ["most_frequent"]


def most_frequent(job: TrainJob, size: int, weights: Mapping[str, float]) -> list[str]:
    """Return up to `size` pieces of the corpus, most frequent first, ties in order of text.

    Sources count by `weights`, as config sections say.
    Raises: TrainingInterrupted on request; TrainingError if there is no text; CorpusError.
    """
    counts: Counter[str] = Counter()
    for document in job.documents("count words", lambda: {"words": len(counts)}, weights):
        for part in pieces(document):
            counts.update(part)
    if not counts:
        raise TrainingError("the corpus holds no text, so there are no words to count. Choose another: --corpus FILE")
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    total, kept = counts.total(), ordered[:size]
    covered = sum(count for _, count in kept)
    job.reporter.note(
        f"kept {len(kept):,} of {len(counts):,} different pieces; {(total - covered) / total:.2%} of the "
        f"corpus's {total:,} are <unk>"
    )
    if len(kept) < size:
        job.reporter.note(f"the corpus is too small to fill the vocabulary: {len(kept):,} of {size:,} words")
    return [text for text, _ in kept]
