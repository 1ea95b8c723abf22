"""Token shards: a corpus as files of ids, planned from the text alone, written by any engine, read memory-mapped."""

from __future__ import annotations

from tokframe.shards.job import tokenize
from tokframe.shards.reading import TokenShards
from tokframe.shards.settings import ShardSettings

__all__ = ["ShardSettings", "TokenShards", "tokenize"]
