"""From a corpus to the segments worth an id: sources and their weights, mining, pruning. Knows no network."""

from __future__ import annotations

from tokframe_dictionary.mining.candidates import Candidates, mine
from tokframe_dictionary.mining.counts import Counts, count_part, recount_part
from tokframe_dictionary.mining.pruning import Pool, prune
from tokframe_dictionary.mining.sources import Gathered, Source, balance
from tokframe_dictionary.mining.workers import Workers

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
