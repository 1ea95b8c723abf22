"""TokenShards: a folder of token shards as one memory-mapped sequence of ids, and of documents, to train on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tokframe.errors import ShardsError
from tokframe.shards.arrays import mapped
from tokframe.shards.index import ENDS_DTYPE, FORMAT, Shard, read_index, shards_errors
from tokframe.storage.paths import expanded

__all__ = ["TokenShards"]


class TokenShards:
    """A folder of token shards: documents by number and in order, and any range of ids across documents and shards.

    Arrays are views of files, read on access; `uint16` or `int32`, whichever the vocabulary needs. An object may be
    pickled, shared by threads and used by `DataLoader` workers.
    """

    def __init__(self, folder: Path, index: dict[str, Any]) -> None:
        self.folder = folder
        #: The whole of index.json.
        self.index = index
        self.shards: tuple[Shard, ...] = tuple(index["shards"])
        self.dtype: str = index["dtype"]
        self.tokens: int = index["tokens"]
        #: Size of the text, as UTF-8.
        self.bytes: int = index["bytes"]
        self._tokens_before = np.cumsum([0, *(shard.tokens for shard in self.shards)])
        self._documents_before = np.cumsum([0, *(shard.documents for shard in self.shards)])
        self._maps: dict[str, Any] = {}

    @classmethod
    def open(cls, folder: str | Path) -> TokenShards:
        """Open a folder that `tokframe tokenize` wrote; reads the index only. Raises: ShardsError."""
        path = expanded(folder).absolute()  # arrays are read later, when the process may stand elsewhere
        return cls(path, read_index(path))

    def verify(self) -> None:
        """Check every file against its SHA-256. Raises: ShardsCorruptError naming the first that differs."""
        with shards_errors(self.folder):
            for shard in self.shards:
                for name, entry in shard.entries(self.dtype).items():
                    FORMAT.check_file(self.folder, name, entry)

    def __len__(self) -> int:
        """Return the number of documents."""
        return int(self._documents_before[-1])

    def __getitem__(self, document: Any) -> Any:
        """Return the ids of a document, or a list of them for a slice. Raises: IndexError."""
        if isinstance(document, slice):
            return [self[i] for i in range(*document.indices(len(self)))]
        number = int(document) + (len(self) if document < 0 else 0)
        if not 0 <= number < len(self):
            raise IndexError(f"document {document} is outside the {len(self)} documents")
        shard = int(np.searchsorted(self._documents_before, number, "right")) - 1
        ends, at = self.ends(shard), number - int(self._documents_before[shard])
        return self.shard(shard)[int(ends[at - 1]) if at else 0 : int(ends[at])]

    def __iter__(self) -> Iterator[Any]:
        for shard in range(len(self.shards)):
            ids, start = self.shard(shard), 0
            for end in self.ends(shard).tolist():
                yield ids[start:end]
                start = end

    def window(self, start: int, length: int) -> Any:
        """Return `length` ids from id `start` on, fewer at the end: a view within a shard, a copy across shards.

        Raises: IndexError where `start` is out of range or `length` is negative.
        """
        if not 0 <= start < max(self.tokens, 1) or length < 0:
            raise IndexError(f"ids {start} to {start + length} are outside the {self.tokens} ids")
        stop = min(start + length, self.tokens)
        first = int(np.searchsorted(self._tokens_before, start, "right")) - 1
        parts = []
        while True:
            offset = int(self._tokens_before[first])
            if first < len(self.shards):
                parts.append(self.shard(first)[start - offset : stop - offset])
            if first + 1 >= len(self.shards) or stop <= self._tokens_before[first + 1]:
                break
            first, start = first + 1, int(self._tokens_before[first + 1])
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else np.empty(0, self.dtype)

    def shard(self, number: int) -> Any:
        """Return `(tokens,)`: all ids of a shard. Raises: ShardsCorruptError."""
        shard = self.shards[number]
        return self._map(shard, shard.file, self.dtype, shard.tokens)

    def ends(self, number: int) -> Any:
        """Return `(documents,)` int64: after how many ids of a shard each document ends. Raises: ShardsCorruptError."""
        shard = self.shards[number]
        return self._map(shard, shard.ends, ENDS_DTYPE, shard.documents)

    def _map(self, shard: Shard, name: str, dtype: str, length: int) -> Any:
        found = self._maps.get(name)
        if found is None:
            if not self.folder.is_dir():
                raise ShardsError(f"{self.folder} was removed after it was opened", path=self.folder)
            with shards_errors(self.folder):
                if os.path.islink(self.folder / name):  # what it leads to may be anything of this size
                    FORMAT.check_file(self.folder, name, shard.entries(self.dtype)[name])
                try:
                    found = mapped(self.folder / name, dtype, length)
                except OSError as error:
                    raise FORMAT.corrupt(self.folder, name, f"cannot be read: {error.strerror}") from error
                except ValueError as error:
                    raise FORMAT.corrupt(self.folder, name, str(error)) from error
                if name == shard.ends and not _are_ends(found, shard.tokens):
                    raise FORMAT.corrupt(self.folder, name, f"does not divide {shard.tokens} ids into documents")
            self._maps[name] = found
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        return TokenShards.open, (self.folder,)

    def __repr__(self) -> str:
        return f"<TokenShards {str(self.folder)!r}: {self.tokens:,} ids, {len(self):,} documents>"


def _are_ends(ends: Any, tokens: int) -> bool:
    """Return whether ends of documents are in order, the first not before the first id and the last after the last."""
    return bool(int(ends[-1]) == tokens and ends[0] >= 0 and (ends[1:] >= ends[:-1]).all()) if len(ends) else not tokens
