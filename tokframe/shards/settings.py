"""What decides the bytes of token shards beside the text and the tokenizer; checked before any work."""

from __future__ import annotations

from typing import Any

from attrs import asdict, field, frozen, validators

__all__ = ["LAYOUTS", "SPLITS", "ShardSettings"]

#: How a plain text file comes apart into documents.
SPLITS = ("file", "blank-line", "line")
#: How an array is kept in a file: flat, or with numpy's header before it.
LAYOUTS = ("bin", "npy")


@frozen(kw_only=True)
class ShardSettings:
    """`split` says what a document of a plain text file is: the file (in pieces of about 1 MB where it is longer,
    cut after line ends), a block between blank lines, or a line; records of .jsonl and .parquet are documents.

    `shard_size` is in bytes of text, 0 for a 64th of the corpus (at least 4 MB, at most 256 MB). `add_special` adds
    the tokenizer's template to each document; `begin` and `end` name special tokens to put around it besides.
    """

    split: str = field(default="file", validator=validators.in_(SPLITS))
    shard_size: int = field(default=0, validator=validators.ge(0))
    layout: str = field(default="bin", validator=validators.in_(LAYOUTS))
    add_special: bool = True
    begin: str = ""
    end: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the settings as JSON data."""
        return asdict(self)
