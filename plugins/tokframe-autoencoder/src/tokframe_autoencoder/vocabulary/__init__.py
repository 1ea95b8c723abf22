"""From a corpus to the segments worth an id: sources and their weights, mining, pruning. Knows no network."""

from __future__ import annotations

from tokframe_autoencoder.vocabulary.counts import Counts, count_part, recount_part
from tokframe_autoencoder.vocabulary.mining import Candidates, mine
from tokframe_autoencoder.vocabulary.pruning import Pool, prune
from tokframe_autoencoder.vocabulary.sources import Gathered, Source, balance
from tokframe_autoencoder.vocabulary.workers import Workers

__all__ = [
    "Candidates",
    "Counts",
    "Gathered",
    "Pool",
    "Source",
    "Workers",
    "balance",
    "count_part",
    "mine",
    "prune",
    "recount_part",
]
