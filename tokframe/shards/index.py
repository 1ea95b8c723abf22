"""Index of a folder of token shards: index.json lists what made it, what is in it, and the hash of every file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import asdict, fields, frozen

from tokframe.errors import ArtifactCorruptError, ArtifactError, ArtifactNotFoundError, ShardsCorruptError, ShardsError
from tokframe.shards.arrays import bytes_of
from tokframe.storage.manifest import FolderFormat, is_count, is_sha256
from tokframe.storage.strictjson import shortened

__all__ = ["ENDS_DTYPE", "FORMAT", "Shard", "Spot", "assembled", "read_index", "shard", "shards_errors"]

FORMAT = FolderFormat(
    name="tokframe-shards",
    version=1,
    manifest="index.json",
    noun="folder of token shards",
    hint="They are made by: tokframe tokenize",
    remedy="copy the folder again, or make the shards again",
    max_manifest_bytes=1 << 26,
)
ENDS_DTYPE = "int64"
_NAME = re.compile(r"(?:tokens|ends)-[0-9]+-[0-9]+\.(?:bin|npy)")


@frozen(kw_only=True)
class Spot:
    """A place in the corpus: `at` is a byte of a plain file, a row group of .parquet, None in a compressed file."""

    file: str
    at: int | None


@frozen(kw_only=True)
class Shard:
    """One shard: a file of ids, and one that says after which id each document ends.

    `bytes` is the size of the text as UTF-8. The text is in the corpus between `from_` and `to`, of which a unit of
    several shards has only the ends of the whole.
    """

    file: str
    sha256: str
    ends: str
    ends_sha256: str
    documents: int
    tokens: int
    bytes: int
    from_: Spot
    to: Spot

    def as_json(self) -> dict[str, Any]:
        """Return the entry of the index."""
        return {name.removesuffix("_"): value for name, value in asdict(self).items()}

    def entries(self, dtype: str) -> dict[str, dict[str, Any]]:
        """Return name -> size and SHA-256 of both files, for ids of `dtype`."""
        return {
            self.file: {"sha256": self.sha256, "bytes": bytes_of(self.file, dtype, self.tokens)},
            self.ends: {"sha256": self.ends_sha256, "bytes": bytes_of(self.ends, ENDS_DTYPE, self.documents)},
        }


def assembled(made_of: Mapping[str, Any], shards: Sequence[Shard], left_out: Mapping[str, Any]) -> dict[str, Any]:
    """Return the index of all shards in order, under the facts that decided them, and what was left out of the text."""
    return {
        "format": FORMAT.name,
        "format_version": FORMAT.version,
        **made_of,
        "documents": sum(shard.documents for shard in shards),
        "tokens": sum(shard.tokens for shard in shards),
        "bytes": sum(shard.bytes for shard in shards),
        **left_out,
        "shards": [shard.as_json() for shard in shards],
    }


@contextmanager
def shards_errors(folder: Path) -> Iterator[None]:
    """Turn the errors of a `FolderFormat` into those of token shards."""
    try:
        yield
    except ArtifactNotFoundError as error:
        raise ShardsError(_no_index(folder), path=folder) from error
    except ArtifactCorruptError as error:
        raise ShardsCorruptError(str(error), path=folder, file=error.file) from error
    except ArtifactError as error:
        raise ShardsError(str(error), path=folder) from error


def read_index(folder: Path) -> dict[str, Any]:
    """Read and check an index; `shards` in it are `Shard`s. Raises: ShardsError; ShardsCorruptError."""
    with shards_errors(folder):
        data = FORMAT.read(folder)
        problem = _problem(data)
        if not problem:
            try:
                data["shards"] = [shard(entry) for entry in data["shards"]]
            except (KeyError, TypeError, ValueError) as error:
                problem = f"has a malformed shard ({error})"
        if not problem and any(
            data.get(key) != sum(getattr(part, key) for part in data["shards"])
            for key in ("documents", "tokens", "bytes")
        ):
            problem = "has totals that are not those of its shards"
        if problem:
            raise FORMAT.corrupt(folder, FORMAT.manifest, problem)
        return data


def shard(entry: Mapping[str, Any]) -> Shard:
    """Return an entry of the index as what it stands for. Raises: KeyError, TypeError or ValueError for any other."""
    names = [field.name for field in fields(Shard)]
    values: dict[str, Any] = {name: entry[name.removesuffix("_")] for name in names}
    for name in ("from_", "to"):
        values[name] = Spot(file=str(values[name]["file"]), at=values[name]["at"])
    for name in ("file", "ends"):
        if not isinstance(values[name], str) or not _NAME.fullmatch(values[name]):
            raise ValueError(f"{name} {values[name]!r} is not the name of a shard's file")
    for name in ("sha256", "ends_sha256"):
        if not is_sha256(values[name]):
            raise ValueError(f"{name} {values[name]!r} is not a SHA-256")
    for name in ("documents", "tokens", "bytes"):
        if not is_count(values[name]):
            raise ValueError(f"{name} {values[name]!r} is not a count")
    return Shard(**values)


def _problem(data: Mapping[str, Any]) -> str:
    tokenizer = data.get("tokenizer")
    if not isinstance(tokenizer, dict) or not isinstance(tokenizer.get("name"), str):
        return "names no tokenizer"
    if data.get("dtype") not in ("uint16", "int32"):
        return f"has dtype {data.get('dtype')!r}, not 'uint16' or 'int32'"
    size = tokenizer.get("vocab_size", 0)
    if not is_count(size) or size > 1 << (16 if data["dtype"] == "uint16" else 31):
        return f"has ids of {data['dtype']} of a tokenizer with {shortened(size)} of them"
    return "" if isinstance(data.get("shards"), list) else "has no list of shards"


def _no_index(folder: Path) -> str:
    unfinished = folder.with_name(folder.name + ".unfinished")
    if folder.name.endswith(".unfinished"):
        return f"{folder} holds token shards that are not finished. Continue with: tokframe tokenize ... --resume"
    if folder.is_dir():
        return f"{folder} has no {FORMAT.manifest}, so it is not a {FORMAT.noun}. {FORMAT.hint}"
    if unfinished.is_dir():
        return f"there is no folder {folder}, but {unfinished} holds an unfinished run: tokframe tokenize ... --resume"
    return f"there is no folder {folder}"
