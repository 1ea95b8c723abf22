"""index.json of a folder of token shards: what is in it, what made it, and the hash of every file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import asdict, fields, frozen

from tokframe.errors import ConfigError, ShardsCorruptError, ShardsError
from tokframe.storage.strictjson import parse_json

__all__ = ["FORMAT", "FORMAT_VERSION", "INDEX", "Shard", "Spot", "assembled", "file_sha256", "read_index", "shard"]

FORMAT, FORMAT_VERSION, INDEX = "tokframe-shards", 1, "index.json"

_NAME = re.compile(r"(?:tokens|ends)-[0-9]+-[0-9]+\.(?:bin|npy)")
_SHA256 = re.compile(r"[0-9a-f]{64}")


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


def assembled(made_of: Mapping[str, Any], shards: Sequence[Shard]) -> dict[str, Any]:
    """Return the index of all shards in order, under the facts that decided them."""
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        **made_of,
        "documents": sum(shard.documents for shard in shards),
        "tokens": sum(shard.tokens for shard in shards),
        "bytes": sum(shard.bytes for shard in shards),
        "shards": [shard.as_json() for shard in shards],
    }


def read_index(folder: Path) -> dict[str, Any]:
    """Read and check an index; `shards` in it are `Shard`s. Raises: ShardsError; ShardsCorruptError."""
    path = folder / INDEX
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise ShardsError(_no_index(folder), path=folder) from error
    except OSError as error:
        raise ShardsError(f"cannot read {path}: {error.strerror}", path=folder) from error
    try:
        data = parse_json(raw, str(path))
    except ConfigError as error:
        raise ShardsCorruptError(str(error), path=folder, file=INDEX) from error
    if data.get("format") != FORMAT:
        raise ShardsCorruptError(f"{path} is not an index of token shards", path=folder, file=INDEX)
    version = data.get("format_version")
    if version != FORMAT_VERSION:
        raise ShardsError(
            f"{path} has format version {version!r}, and this tokframe reads {FORMAT_VERSION}. "
            "Upgrade: pip install --upgrade tokframe",
            path=folder,
        )
    problem = _problem(data)
    if not problem:
        try:
            data["shards"] = [shard(entry) for entry in data["shards"]]
        except (KeyError, TypeError, ValueError) as error:
            problem = f"holds a malformed shard ({error})"
    if not problem and any(
        data[key] != sum(getattr(part, key) for part in data["shards"]) for key in ("documents", "tokens", "bytes")
    ):
        problem = "has totals that are not those of its shards"
    if problem:
        raise ShardsCorruptError(f"{path} {problem}. Make the shards again", path=folder, file=INDEX)
    return data


def shard(entry: Mapping[str, Any]) -> Shard:
    """Return an entry of the index as what it stands for. Raises: KeyError, TypeError or ValueError for any other."""
    names = [field.name for field in fields(Shard)]
    values: dict[str, Any] = {name: entry[name.removesuffix("_")] for name in names}
    for name in ("from_", "to"):
        values[name] = Spot(file=str(values[name]["file"]), at=values[name]["at"])
    for name in ("file", "ends"):
        if not isinstance(values[name], str) or not _NAME.fullmatch(values[name]):
            raise ValueError(f"{name} {values[name]!r} is no name of a shard's file")
    for name in ("sha256", "ends_sha256"):
        if not isinstance(values[name], str) or not _SHA256.fullmatch(values[name]):
            raise ValueError(f"{name} {values[name]!r} is no SHA-256")
    for name in ("documents", "tokens", "bytes"):
        if isinstance(values[name], bool) or not isinstance(values[name], int) or values[name] < 0:
            raise ValueError(f"{name} {values[name]!r} is no count")
    return Shard(**values)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 (hex) of a file. Raises: OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _problem(data: Mapping[str, Any]) -> str:
    tokenizer = data.get("tokenizer")
    if not isinstance(tokenizer, dict) or not isinstance(tokenizer.get("name"), str):
        return "names no tokenizer"
    if data.get("dtype") not in ("uint16", "int32"):
        return f"has dtype {data.get('dtype')!r}, not 'uint16' or 'int32'"
    if not isinstance(data.get("shards"), list):
        return "has no list of shards"
    return ""


def _no_index(folder: Path) -> str:
    unfinished = folder.with_name(folder.name + ".unfinished")
    if folder.name.endswith(".unfinished"):
        return f"{folder} holds token shards that are not finished. Go on with: tokframe tokenize ... --resume"
    if folder.is_dir():
        return f"{folder} has no {INDEX}, so it holds no token shards. They are made by: tokframe tokenize"
    if unfinished.is_dir():
        return f"there is no folder {folder}, but {unfinished} holds an unfinished run: tokframe tokenize ... --resume"
    return f"there is no folder {folder}"
