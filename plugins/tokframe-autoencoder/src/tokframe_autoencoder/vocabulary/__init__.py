"""From a corpus to the segments worth an id: sources and their weights, mining, pruning. Knows no network."""

from __future__ import annotations

from tokframe_autoencoder.vocabulary.mining import Candidates, mine
from tokframe_autoencoder.vocabulary.pruning import Pool, prune
from tokframe_autoencoder.vocabulary.sources import Source, balance

__all__ = ["Candidates", "Pool", "Source", "balance", "mine", "prune"]
