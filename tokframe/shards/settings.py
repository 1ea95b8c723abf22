"""ShardSettings: what decides the bytes of token shards besides the text and the tokenizer."""

from __future__ import annotations

from attrs import frozen

from tokframe.storage.settings import setting

__all__ = ["ShardSettings"]


@frozen(kw_only=True)
class ShardSettings:
    """How a corpus is split into documents and shards; checked before any work."""

    #: how a plain text file is split into documents: the file (in pieces of about 1 MB where it is longer, cut after
    #: line ends), the blocks between blank lines, or lines; records of .jsonl and .parquet are documents
    split: str = setting("file", one_of=("file", "blank-line", "line"))
    #: bytes of text in a shard; 0: a 64th of the corpus, at least 4 MB and at most 256 MB
    shard_size: int = setting(0, at_least=0)
    layout: str = setting("bin", one_of=("bin", "npy"))  #: flat little-endian ids, or with numpy's header
    add_special: bool = True  #: add the tokenizer's template to each document
    begin: str = ""  #: special token before each document and its template, which may add it already: it is added once
    end: str = ""  #: special token after them, once
