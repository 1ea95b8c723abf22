"""UnitWriter: a worker's part: read a unit's text, encode it, write its shards and then a record of them.

Writing a unit twice, even at the same time, gives the same files; a unit with a valid record is not written again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen

from tokframe.corpus.faults import Faults
from tokframe.errors import ShardsError
from tokframe.shards.arrays import ArrayWriter
from tokframe.shards.documents import documents
from tokframe.shards.index import ENDS_DTYPE, FORMAT, Shard, Spot, shard
from tokframe.shards.planning import Unit
from tokframe.shards.settings import ShardSettings
from tokframe.storage.atomic import write_atomically
from tokframe.storage.strictjson import canonical_json, read_json
from tokframe.tokenizer.base import ITokenizer

__all__ = ["UNITS", "UnitResult", "UnitWriter"]

#: The folder, inside an unfinished one, of records and of files that are being written.
UNITS = "units"


@frozen(kw_only=True)
class UnitResult:
    """The shards of a unit, and what was left out of its text, as `Faults.merge` takes it; `kept` if an earlier run
    wrote them.
    """

    number: int
    weight: int
    shards: tuple[Shard, ...]
    left_out: tuple[Any, ...]
    kept: bool


@frozen(kw_only=True, eq=False)
class UnitWriter:
    """Writes units into `folder`; `before` and `after` are the ids around each document."""

    tokenizer: ITokenizer
    folder: Path
    dtype: str
    settings: ShardSettings
    before: tuple[int, ...]
    after: tuple[int, ...]

    def __call__(self, unit: Unit) -> UnitResult:
        """Write a unit's shards, unless they are written already. Raises: CorpusError; ShardsError."""
        try:
            if (kept := self._kept(unit)) is not None:
                return kept
            shards = tuple(self._written(unit))
            left_out = unit.faults.to_json()
            record = {"unit": unit.number, "shards": [part.as_json() for part in shards], "left_out": left_out}
            write_atomically(self._record(unit), canonical_json(record))
        except OSError as error:
            told = "Finished shards are kept: once that is fixed, run the same with --resume (resume=True)"
            if not (self.folder / UNITS).is_dir():
                told = (
                    "It was moved or removed during the run: put it back and use --resume (resume=True), or start again"
                )
            raise ShardsError(
                f"cannot write {self.folder}: {error.strerror or error}. {told}", path=self.folder
            ) from error
        return UnitResult(number=unit.number, weight=unit.weight, shards=shards, left_out=tuple(left_out), kept=False)

    def _written(self, unit: Unit) -> Iterator[Shard]:
        texts = documents(unit, self.settings.split)
        for part, text in enumerate(texts):  # a shard consumes the texts that follow its first
            yield self._shard(unit, part, text, texts)

    def _shard(self, unit: Unit, part: int, text: str | None, texts: Iterator[str]) -> Shard:
        """Write one shard from the next documents: all, or as many as fill it."""
        name = f"{unit.number:05}-{part:03}.{self.settings.layout}"
        before, after = np.asarray(self.before, np.int32), np.asarray(self.after, np.int32)
        ends, size = [], 0
        scratch = self.folder / UNITS
        with (
            ArrayWriter(self.folder, scratch, f"tokens-{name}", self.dtype) as tokens,
            ArrayWriter(self.folder, scratch, f"ends-{name}", ENDS_DTYPE) as borders,
        ):
            while text is not None:
                data = text.encode()
                for ids in (before, self.tokenizer.encode_raw(data), after):
                    if len(ids):
                        tokens.append(ids)
                ends.append(tokens.length)
                size += len(data)
                if len(ends) == 1 << 16:
                    borders.append(ends)
                    ends.clear()
                if unit.rolls and size >= self.settings.shard_size:
                    break
                text = next(texts, None)
            borders.append(ends)
            first, last = unit.spans[0], unit.spans[-1]
            return Shard(
                file=f"tokens-{name}",
                sha256=tokens.finish(),
                ends=f"ends-{name}",
                ends_sha256=borders.finish(),
                documents=borders.length,
                tokens=tokens.length,
                bytes=size,
                from_=Spot(file=first.file.name, at=None if first.end is None else first.start),
                to=Spot(file=last.file.name, at=last.end),
            )

    def _record(self, unit: Unit) -> Path:
        return self.folder / UNITS / f"unit-{unit.number:05}.json"

    def _kept(self, unit: Unit) -> UnitResult | None:
        """Return what was made of a unit before, if its files are still what the record says."""
        path = self._record(unit)
        try:
            record = read_json(path)
            left_out = tuple(record.get("left_out", ()))
            Faults().merge(left_out)
            shards = tuple(shard(entry) for entry in record["shards"])
            for part in shards:
                for name, entry in part.entries(self.dtype).items():
                    FORMAT.check_file(self.folder, name, entry)
        except (OSError, ValueError, KeyError, TypeError):  # ConfigError and ArtifactCorruptError are ValueErrors
            return None
        return UnitResult(number=unit.number, weight=unit.weight, shards=shards, left_out=left_out, kept=True)
