"""Folder formats: files beside a manifest of their sizes and SHA-256 sums; written atomically, read with checks.

What the files mean is left to artifacts, language models and token shards. Nothing read is ever imported or executed.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from io import BufferedReader
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

from attrs import frozen

from tokframe.errors import (
    ArtifactCorruptError,
    ArtifactError,
    ArtifactNotFoundError,
    ArtifactVersionError,
    ConfigError,
)
from tokframe.storage.advice import install_command
from tokframe.storage.paths import is_address
from tokframe.storage.regular import REFUSED, open_regular, read_regular
from tokframe.storage.strictjson import MAX_INTEGER_BITS, canonical_json, parse_json, shortened

__all__ = ["TENSORS", "FolderFormat", "entry_of", "file_sha256", "is_count", "is_plain_name", "is_sha256", "sum_of"]

T = TypeVar("T")
#: The end of a file of tensors.
TENSORS = ".safetensors"
#: Of all files that are held whole, and of all tensors. A sparse file costs its maker nothing, so that what may be
#: asked of a reader has a bound.
MAX_FILE_BYTES = 1 << 30
MAX_TENSORS_BYTES = 1 << 35
#: A header is parsed before anything else; the deepest language model has some ten thousand tensors.
MAX_TENSORS = 1 << 14
MAX_TENSORS_HEADER_BYTES = 1 << 22
#: The manifest's own sum, over the canonical JSON of all the rest; manifests written before 0.2 have none.
_SUM = "sha256"
_DANGLING = "is a link to a file that does not exist (to copy a folder of links: cp -rL)"
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@frozen(kw_only=True)
class FolderFormat:
    """A kind of folder: what its manifest is called and begins with, and what errors call it."""

    name: str  #: the manifest's `format`
    version: int  #: its `format_version`; raised by one when older readers cannot understand what is written
    manifest: str  #: file name of the manifest
    noun: str  #: what a folder is, as in "is not a saved tokenizer"
    hint: str  #: what to do where there is none
    remedy: str  #: what to do where a file is damaged
    package: str = "tokframe"  #: distribution to upgrade for newer versions
    required: tuple[str, ...] = ()  #: files that every manifest lists under `files`; none: it has no such list
    keys: frozenset[str] | None = None  #: keys that a manifest may have; None: any
    max_manifest_bytes: int = 1 << 20

    # -- writing ------------------------------------------------------------------------------------------------

    def is_ours(self, folder: Path) -> bool:
        """Return whether a folder has this format's manifest, so that it may be replaced when the user asks."""
        return (folder / self.manifest).is_file()

    def check_place(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Check, ahead of long work, that a folder may be written at `path`. Raises: as `places.check_place`."""
        from tokframe.storage.places import check_place  # reading does without

        check_place(path, self.is_ours, overwrite=overwrite)

    def claiming(self, path: str | Path, *, overwrite: bool = False) -> AbstractContextManager[None]:
        """Keep a place for one run during long work that ends in `writing`. Raises: as `places.claimed_place`."""
        from tokframe.storage.places import claimed_place

        return claimed_place(path, self.is_ours, overwrite=overwrite)

    def writing(self, path: str | Path, *, overwrite: bool = False) -> AbstractContextManager[Path]:
        """Yield a folder for `fill`, moved to `path` at the end. Raises: as `places.writing_folder`."""
        from tokframe.storage.places import writing_folder

        return writing_folder(path, self.is_ours, overwrite=overwrite)

    def fill(self, folder: Path, header: Mapping[str, Any], contents: Mapping[str, bytes]) -> None:
        """Write files and a manifest with the keys of `header`; same arguments, same bytes. Raises: OSError."""
        from tokframe.storage.atomic import write_file

        files = {name: entry_of(data) for name, data in contents.items()}
        head = {"format": self.name, "format_version": self.version}
        manifest = parse_json(canonical_json({**head, **header, "files": files}), self.manifest)
        for name in sorted(contents):
            write_file(folder / name, contents[name])
        write_file(folder / self.manifest, canonical_json({**manifest, _SUM: sum_of(manifest)}))

    # -- reading ------------------------------------------------------------------------------------------------

    def read(self, folder: Path) -> dict[str, Any]:
        """Return a manifest after every check that needs no other file: version, names, bounds, its own sum.

        Raises: ArtifactNotFoundError; ArtifactVersionError; ArtifactCorruptError naming the file; ArtifactError.
        """
        raw = self._read_raw(folder)
        manifest = self.parse(folder, self.manifest, raw)
        version = manifest.get("format_version")
        if manifest.get("format") != self.name or not is_count(version) or version < 1:
            raise self.corrupt(folder, self.manifest, f"does not name format {self.name!r} and a version")
        if version > self.version:
            raise ArtifactVersionError(
                f"{folder} has format version {version}, and this {self.package} reads up to {self.version}. "
                f"Upgrade: {install_command(self.package, options=['--upgrade'])}",
                path=folder,
                found=version,
                supported=self.version,
            )
        if self.required:
            self._check_entries(folder, manifest.get("files"))
        unknown = sorted(manifest.keys() - self.keys) if self.keys is not None else []
        if unknown:
            raise self.corrupt(folder, self.manifest, f"has the unknown key {shortened(unknown[0])}")
        if _SUM in manifest and not _is_sound(manifest, raw):
            raise self.corrupt(folder, self.manifest, f"was altered: its {_SUM!r} is not the SHA-256 of the rest")
        return manifest

    def parse(self, folder: Path, name: str, raw: bytes) -> dict[str, Any]:
        """Return a file's JSON object. Raises: ArtifactCorruptError."""
        try:
            return parse_json(raw, name)
        except ConfigError as error:
            raise self.corrupt(folder, name, str(error.problems[0][1])) from error

    def read_file(self, folder: Path, name: str, entry: Mapping[str, Any]) -> bytes:
        """Return a file's bytes, of the size and sum in its entry. Raises: ArtifactCorruptError."""
        with self._open(folder, name, entry) as file:
            try:
                data = file.read(entry["bytes"] + 1)
            except MemoryError:
                what = f"{folder / name} cannot be loaded: its {entry['bytes']:,} bytes do not fit into memory"
                raise ArtifactError(what, path=folder) from None
        self._check_sum(folder, name, entry, hashlib.sha256(data).hexdigest())
        return data

    def check_file(self, folder: Path, name: str, entry: Mapping[str, Any]) -> None:
        """Check a file's size and sum without holding its contents. Raises: ArtifactCorruptError."""
        with self._open(folder, name, entry) as file:
            self._check_sum(folder, name, entry, hashlib.file_digest(file, "sha256").hexdigest())

    def read_tensors(
        self, folder: Path, name: str, entry: Mapping[str, Any], load: Callable[[bytes], dict[str, T]]
    ) -> dict[str, T]:
        """Return a file's tensors, parsed by one of safetensors' `load` functions. Raises: ArtifactCorruptError."""
        from safetensors import SafetensorError

        self.read_shapes(folder, name, entry)
        data = self.read_file(folder, name, entry)
        try:
            return load(data)
        except (SafetensorError, ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
            raise self.corrupt(folder, name, f"is not a safetensors file: {error}") from error

    def read_shapes(self, folder: Path, name: str, entry: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
        """Return the shape of each tensor of a file, from its header alone. Raises: ArtifactCorruptError."""
        with self._open(folder, name, entry) as file:
            size = int.from_bytes(file.read(8), "little")
            if size > MAX_TENSORS_HEADER_BYTES:
                what = f"is not a safetensors file: its header is larger than {MAX_TENSORS_HEADER_BYTES} bytes"
                raise self.corrupt(folder, name, what)
            raw = file.read(size)
        try:
            header = parse_json(raw, name)
            header.pop("__metadata__", None)
            shapes = {tensor: tuple(facts["shape"]) for tensor, facts in header.items()}
        except (ConfigError, KeyError, TypeError) as error:
            raise self.corrupt(folder, name, "is not a safetensors file: its header is malformed") from error
        if len(shapes) > MAX_TENSORS:
            raise self.corrupt(folder, name, f"holds {len(shapes):,} tensors, more than {MAX_TENSORS:,}")
        for tensor, shape in shapes.items():
            # No element takes less than half a byte, whatever its type.
            if not all(map(is_count, shape)) or math.prod(shape) > 2 * entry["bytes"]:
                raise self.corrupt(folder, name, f"is not a safetensors file: {shortened(tensor)} has no such shape")
        return shapes

    def corrupt(self, folder: Path, name: str, what: str) -> ArtifactCorruptError:
        """Return the error for a damaged file: its path, what is wrong with it, and the remedy."""
        return ArtifactCorruptError(
            f"{folder / name} {what}. Nothing was loaded; {self.remedy}", path=folder, file=name
        )

    def _read_raw(self, folder: Path) -> bytes:
        path = folder / self.manifest
        try:
            return read_regular(path, self.max_manifest_bytes)
        except (FileNotFoundError, NotADirectoryError):
            if os.path.islink(path):
                raise self.corrupt(folder, self.manifest, _DANGLING) from None
            what = f"has no {self.manifest}" if folder.is_dir() else "does not exist"
            hint = "Download it first: it is an address" if is_address(folder) else _hint_aside(folder) or self.hint
            raise ArtifactNotFoundError(
                f"{_as_typed(folder)} {what}, so it is not a {self.noun}. {hint}", path=folder
            ) from None
        except OSError as error:
            if error.errno in REFUSED:
                raise self.corrupt(folder, self.manifest, f"cannot be read: {error.strerror}") from error
            raise ArtifactError(f"{path} cannot be read: {error.strerror or error}", path=folder) from error

    def _check_entries(self, folder: Path, files: Any) -> None:
        for name in self.required:
            if not isinstance(files, dict) or name not in files:
                raise self.corrupt(folder, self.manifest, f"lists no {name}")
        total = dict.fromkeys((MAX_FILE_BYTES, MAX_TENSORS_BYTES), 0)
        for name, entry in files.items():
            if not is_plain_name(name) or name == self.manifest:
                what = f"lists the file name {shortened(name)}, which is not a plain name in the folder"
                raise self.corrupt(folder, self.manifest, what)
            if not isinstance(entry, dict) or not is_sha256(entry.get("sha256")) or not is_count(entry.get("bytes")):
                raise self.corrupt(folder, self.manifest, f"has no size and SHA-256 for {name}")
            limit = MAX_TENSORS_BYTES if name.endswith(TENSORS) else MAX_FILE_BYTES
            total[limit] += entry["bytes"]
            if total[limit] > limit:
                alone = "is" if entry["bytes"] > limit else "is, with the others of its kind,"
                raise self.corrupt(folder, name, f"{alone} larger than {limit} bytes")

    def _open(self, folder: Path, name: str, entry: Mapping[str, Any]) -> BufferedReader:
        """Open a regular file of the stated size."""
        path = folder / name
        try:
            file = open_regular(path)
        except FileNotFoundError:
            raise self.corrupt(folder, name, _DANGLING if os.path.islink(path) else "is missing") from None
        except OSError as error:
            raise self.corrupt(folder, name, f"cannot be read: {error.strerror or error}") from error
        found = os.fstat(file.fileno()).st_size
        if found != entry["bytes"]:
            file.close()
            raise self.corrupt(folder, name, f"has {found} bytes, {self.manifest} says {entry['bytes']}")
        return file

    def _check_sum(self, folder: Path, name: str, entry: Mapping[str, Any], found: str) -> None:
        if found != entry["sha256"]:
            what = f"its SHA-256 is {found[:12]}..., {self.manifest} says {entry['sha256'][:12]}..."
            raise self.corrupt(folder, name, f"was altered: {what}")


def entry_of(data: bytes) -> dict[str, Any]:
    """Return the entry of a file in a manifest: its SHA-256 and its size in bytes."""
    return {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def sum_of(manifest: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a manifest without its own sum."""
    return hashlib.sha256(canonical_json({key: value for key, value in manifest.items() if key != _SUM})).hexdigest()


def file_sha256(path: Path) -> str:
    """Return the SHA-256 (hex) of a file. Raises: OSError."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_plain_name(name: str) -> bool:
    """Return whether a file name is short, ASCII, visible and without a path, so that it stays in its folder."""
    return _PLAIN.fullmatch(name) is not None


def is_sha256(value: object) -> bool:
    """Return whether a JSON value is a SHA-256 in hex."""
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def is_count(value: object) -> TypeGuard[int]:
    """Return whether a JSON value is an integer from 0."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << MAX_INTEGER_BITS


def _is_sound(manifest: Mapping[str, Any], raw: bytes) -> bool:
    """Return whether every byte of a manifest is as it was written."""
    try:
        return manifest[_SUM] == sum_of(manifest) and raw == canonical_json(manifest)
    except ValueError:  # a lone surrogate, which is never written
        return False


def _as_typed(folder: Path) -> str:
    """Return a folder as users name it, with `./` where it is below the folder they are in."""
    place, here = Path(os.path.abspath(folder)), Path.cwd()
    return repr(f"./{place.relative_to(here)}" if place.is_relative_to(here) else str(place))


def _hint_aside(folder: Path) -> str:
    """Name what a save left that was killed between two renames, which it needs where folders cannot be swapped."""
    import glob
    import shlex

    aside = sorted(folder.parent.glob(f".{glob.escape(folder.name)}.old-*")) if folder.name else []
    return f"the one before is kept: {shlex.join(['mv', str(aside[0]), str(folder)])}" if aside else ""
