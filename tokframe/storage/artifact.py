"""A saved tokenizer on disk: a folder of plain data with a manifest of sizes and SHA-256 sums.

Reads and writes `State`; knows no tokenizer. Nothing in an artifact is ever imported or executed.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import frozen

from tokframe.errors import (
    ArtifactCorruptError,
    ArtifactError,
    ArtifactExistsError,
    ArtifactNotFoundError,
    ArtifactVersionError,
    ConfigError,
)
from tokframe.storage.state import State, Tensors
from tokframe.storage.strictjson import canonical_json, parse_json

__all__ = ["FORMAT", "FORMAT_VERSION", "MANIFEST", "Artifact", "check_place", "read", "tokenizer_sha256", "write"]

FORMAT = "tokframe-artifact"
#: Raised by one when old readers could no longer understand what is written.
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
CONFIG = "config.json"
_TENSORS = ".safetensors"
#: A manifest holds some lines per file; a config some hundred keys. Anything near these bounds is hostile.
_MAX_MANIFEST = 1 << 20
_MAX_CONFIG = 1 << 24
#: Files are read whole. A sparse file costs its maker nothing, so what may be asked of a reader has a bound.
_MAX_FILE = 1 << 30
_MAX_TENSORS = 1 << 35
_MAX_TENSOR_HEADER = 1 << 24
#: The manifest's own sum, over the canonical JSON of all the rest; artifacts written before 0.2 have none.
_SUM = "sha256"
#: How often reading begins again because another artifact was put in the place of the one being read.
_TRIES = 5
_KEYS = {"format", "format_version", "tokenizer", "components", "files", _SUM}
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@frozen(kw_only=True, eq=False)
class Artifact:
    """A checked artifact: `manifest` as JSON data, `state` with tensors loaded when first used."""

    path: Path
    manifest: Mapping[str, Any]
    state: State


class _Groups(Mapping[str, Tensors]):
    """Tensor groups read, checked again and parsed when looked up, so that unused weights cost nothing."""

    def __init__(self, path: Path, files: Mapping[str, Mapping[str, Any]]) -> None:
        self._path = path
        self._files = {name.removesuffix(_TENSORS): (name, files[name]) for name in files if name.endswith(_TENSORS)}
        self._loaded: dict[str, Tensors] = {}

    def __getitem__(self, group: str) -> Tensors:
        if group not in self._loaded:
            name, entry = self._files[group]
            self._loaded[group] = _parse_tensors(self._path, name, _checked_bytes(self._path, name, entry))
        return self._loaded[group]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, ([(name, dict(self[name])) for name in self],)


def write(path: str | Path, header: Mapping[str, Any], state: State, *, overwrite: bool = False) -> Path:
    """Write an artifact folder at `path`, whole or not at all; the same state gives the same bytes.

    `header` holds the manifest's `tokenizer` and `components`. The folder is built beside its place, flushed to
    disk and renamed, so that a crash at any moment leaves what was there before.

    Raises: ArtifactExistsError if something is at `path` and `overwrite` is false, or if another process wrote there
    meanwhile, whose artifact stays; ArtifactError if it is not a tokframe artifact (it is never replaced) or the
    disk refuses.
    """
    from tokframe.storage.atomic import (  # which loading does without
        identity,
        replace_folder,
        temporary_sibling,
        write_file,
    )

    target = Path(path)
    found = identity(target)
    check_place(target, overwrite=overwrite)
    contents = _contents(target, state)
    manifest = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        **header,
        "files": {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in contents.items()
        },
    }
    try:
        with temporary_sibling(target) as folder:
            for name in sorted(contents):
                write_file(folder / name, contents[name])
            write_file(folder / MANIFEST, canonical_json({**manifest, _SUM: _manifest_sum(manifest)}))
            try:
                replace_folder(folder, target, found)
            except FileExistsError as error:
                raise ArtifactExistsError(
                    f"{target} was written by another process while this one was saving; theirs is whole and was "
                    "kept, nothing of this one was. Save again with overwrite, or to another path",
                    path=target,
                ) from error
    except ArtifactError:  # which is an OSError too
        raise
    except OSError as error:
        raise ArtifactError(f"cannot write {target}: {error.strerror or error}", path=target) from error
    return target


def check_place(path: str | Path, *, overwrite: bool = False) -> None:
    """Check that `write` may write at `path`, ahead of long work. Raises: as `write`; changes nothing."""
    target = Path(path)
    if not target.exists() and not target.is_symlink():
        return
    if not overwrite:
        raise ArtifactExistsError(
            f"{target} already exists; nothing was written. Choose another path or say overwrite "
            "(--overwrite on the command line)",
            path=target,
        )
    # What is replaced is removed in the end, so it must be known to be ours: never what a link points to.
    ours = target.is_dir() and not target.is_symlink() and (not any(target.iterdir()) or (target / MANIFEST).is_file())
    if not ours:
        raise ArtifactError(f"{target} is not a tokframe artifact and will not be replaced", path=target)


def _manifest_sum(manifest: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in manifest.items() if key != _SUM}
    return hashlib.sha256(canonical_json(rest)).hexdigest()


def _contents(target: Path, state: State) -> dict[str, bytes]:
    """Return every file of a state but the manifest. Raises: ArtifactError for what `read` would refuse."""
    try:
        config = canonical_json(state.config)
    except (ValueError, TypeError, RecursionError) as error:
        raise ArtifactError(f"the tokenizer's config is no JSON data: {error}", path=target) from error
    if len(config) > _MAX_CONFIG:
        raise ArtifactError(f"the tokenizer's config takes more than {_MAX_CONFIG} bytes", path=target)
    contents: dict[str, bytes] = {CONFIG: config}
    named = [(name, bytes(data)) for name, data in state.files.items()]
    named += [(group + _TENSORS, _tensor_bytes(state.tensors[group])) for group in state.tensors]
    for name, data in named:
        if not _PLAIN.fullmatch(name) or name == MANIFEST:
            raise ArtifactError(f"a tokenizer's state holds a file named {name!r}, which is no plain name", path=target)
        if name in contents:
            raise ArtifactError(f"a tokenizer's state holds two files named {name!r}", path=target)
        contents[name] = data
    return contents


def read(path: str | Path) -> Artifact:
    """Read and check an artifact folder: manifest, version, names, sizes and sums of every file, in this order.

    Raises: ArtifactNotFoundError; ArtifactVersionError for a newer format; ArtifactCorruptError naming the file.
    """
    folder = Path(path)
    for _ in range(_TRIES):
        before = _stamp(folder)
        try:
            return _read(folder)
        except (ArtifactCorruptError, ArtifactNotFoundError):
            if _stamp(folder) == before:  # else it was replaced by a new one while this one was read
                raise
    return _read(folder)


def tokenizer_sha256(folder: str | Path) -> str:
    """Return the SHA-256 that names a saved tokenizer: of its name, version and its files' sums. Raises: as `read`."""
    manifest = read(folder).manifest
    head = manifest["tokenizer"]
    known = {"name": head["name"], "version": head.get("version", 1), "files": manifest["files"]}
    return hashlib.sha256(canonical_json(known)).hexdigest()


def _stamp(folder: Path) -> tuple[int, ...]:
    """Return what changes when another folder is put in the place of this one."""
    try:
        found = os.stat(folder)
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_mtime_ns


def _read(folder: Path) -> Artifact:
    manifest, raw = _read_manifest(folder)
    files = _check_entries(folder, manifest)
    _check_manifest_sum(folder, manifest, raw)
    small: dict[str, bytes] = {}
    for name, entry in files.items():
        if name.endswith(_TENSORS):
            _check_file(folder, name, entry)
        else:
            small[name] = _checked_bytes(folder, name, entry)
    try:
        config = parse_json(small.pop(CONFIG), CONFIG)
    except ConfigError as error:
        raise _corrupt(folder, CONFIG, str(error.problems[0][1])) from error
    state = State(config=config, tensors=_Groups(folder, files), files=small)
    return Artifact(path=folder, manifest=manifest, state=state)


def _read_manifest(folder: Path) -> tuple[dict[str, Any], bytes]:
    path = folder / MANIFEST
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise _corrupt(folder, MANIFEST, "is not a regular file")
        with open(path, "rb") as file:
            raw = file.read(_MAX_MANIFEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        what = "has no manifest.json" if folder.is_dir() else "does not exist"
        import glob

        # Left by a save that was killed between its two renames, which only happens where folders cannot be swapped.
        aside = sorted(folder.parent.glob(f".{glob.escape(folder.name)}.old-*")) if folder.name else []
        hint = (
            f"the one before is kept: mv '{aside[0]}' '{folder}'"
            if aside
            else ("A registered name is given without a slash; `tokframe components` lists them")
        )
        raise ArtifactNotFoundError(f"{folder} {what}, so it is no saved tokenizer. {hint}", path=folder) from None
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror or error}", path=folder) from error
    if len(raw) > _MAX_MANIFEST:
        raise _corrupt(folder, MANIFEST, f"is larger than {_MAX_MANIFEST} bytes")
    try:
        manifest = parse_json(raw, MANIFEST)
    except ConfigError as error:
        raise _corrupt(folder, MANIFEST, str(error.problems[0][1])) from error
    version = manifest.get("format_version")
    if manifest.get("format") != FORMAT or isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise _corrupt(folder, MANIFEST, f"does not say format {FORMAT!r} and a version")
    if version > FORMAT_VERSION:
        raise ArtifactVersionError(
            f"{folder} was written in format {version}, and this tokframe reads up to {FORMAT_VERSION}. "
            "Upgrade: pip install --upgrade tokframe",
            path=folder,
            found=version,
            supported=FORMAT_VERSION,
        )
    return manifest, raw


def _check_entries(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    files = manifest.get("files")
    if not isinstance(files, dict) or CONFIG not in files:
        raise _corrupt(folder, MANIFEST, f"lists no {CONFIG}")
    for name, entry in files.items():
        if not _PLAIN.fullmatch(name) or name == MANIFEST:
            raise _corrupt(folder, MANIFEST, f"lists the file name {name!r}, which is not a plain name in the folder")
        if (
            not isinstance(entry, dict)
            or not isinstance(entry.get("sha256"), str)
            or not _SHA256.fullmatch(entry["sha256"])
            or isinstance(entry.get("bytes"), bool)
            or not isinstance(entry.get("bytes"), int)
            or entry["bytes"] < 0
        ):
            raise _corrupt(folder, MANIFEST, f"has no size and SHA-256 for {name}")
        most = _MAX_CONFIG if name == CONFIG else _MAX_TENSORS if name.endswith(_TENSORS) else _MAX_FILE
        if entry["bytes"] > most:
            raise _corrupt(folder, name, f"is larger than {most} bytes")
    return dict(files)


def _check_manifest_sum(folder: Path, manifest: Mapping[str, Any], raw: bytes) -> None:
    """Check that every byte of the manifest is as it was written."""
    unknown = sorted(manifest.keys() - _KEYS)
    if unknown:
        raise _corrupt(folder, MANIFEST, f"holds the key {unknown[0]!r}, which format {FORMAT_VERSION} does not know")
    if _SUM not in manifest:
        return
    try:
        sound = manifest[_SUM] == _manifest_sum(manifest) and raw == canonical_json(manifest)
    except ValueError:  # a lone surrogate, which we never write
        sound = False
    if not sound:
        raise _corrupt(folder, MANIFEST, f"was altered: its {_SUM!r} is not the SHA-256 of the rest")


def _check_file(folder: Path, name: str, entry: Mapping[str, Any]) -> None:
    """Check size and sum without keeping the contents."""
    with _open_plain(folder, name, entry) as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != entry["sha256"]:
        raise _altered(folder, name, entry, found)


def _checked_bytes(folder: Path, name: str, entry: Mapping[str, Any]) -> bytes:
    with _open_plain(folder, name, entry) as file:
        data: bytes = file.read(entry["bytes"] + 1)
    found = hashlib.sha256(data).hexdigest()
    if found != entry["sha256"]:
        raise _altered(folder, name, entry, found)
    return data


def _open_plain(folder: Path, name: str, entry: Mapping[str, Any]) -> Any:
    """Open a regular file of the stated size; never through a link."""
    path = folder / name
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        raise _corrupt(folder, name, "is missing") from None
    except OSError as error:
        raise _corrupt(folder, name, f"cannot be read: {error.strerror or error}") from error
    if not stat.S_ISREG(status.st_mode):
        raise _corrupt(folder, name, "is not a regular file")
    if status.st_size != entry["bytes"]:
        raise _corrupt(folder, name, f"has {status.st_size} bytes, the manifest says {entry['bytes']}")
    try:
        return open(path, "rb")
    except OSError as error:
        raise _corrupt(folder, name, f"cannot be read: {error.strerror or error}") from error


def _tensor_bytes(tensors: Tensors) -> bytes:
    from safetensors.numpy import save  # no metadata: with two keys its order, and so the bytes, would vary

    data: bytes = save({key: np.ascontiguousarray(value) for key, value in tensors.items()})
    return data


def _parse_tensors(folder: Path, name: str, data: bytes) -> dict[str, npt.NDArray[Any]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    if int.from_bytes(data[:8], "little") > _MAX_TENSOR_HEADER:
        raise _corrupt(folder, name, f"is no safetensors file: its header is larger than {_MAX_TENSOR_HEADER} bytes")
    try:
        tensors: dict[str, npt.NDArray[Any]] = load(data)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise _corrupt(folder, name, f"is no safetensors file: {error}") from error
    return tensors


def _corrupt(folder: Path, name: str, what: str) -> ArtifactCorruptError:
    return ArtifactCorruptError(
        f"{folder / name} {what}. Nothing was loaded; restore the file or save the tokenizer again",
        path=folder,
        file=name,
    )


def _altered(folder: Path, name: str, entry: Mapping[str, Any], found: str) -> ArtifactCorruptError:
    expected = entry["sha256"]
    return _corrupt(folder, name, f"was altered: its SHA-256 is {found[:12]}..., the manifest says {expected[:12]}...")
