"""A corpus as token shards: planned from the text alone, written by any engine, read memory-mapped."""

from __future__ import annotations

from tokframe.tokenize.job import tokenize
from tokframe.tokenize.reading import TokenShards
from tokframe.tokenize.settings import ShardSettings

__all__ = ["ShardSettings", "TokenShards", "tokenize"]
