"""Artifacts: saved tokenizers on disk, folders of plain data in which `manifest.json` lists every file.

Reads and writes `State`; knows no tokenizer. Sums, bounds and atomic writing are `manifest`'s.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen

from tokframe.errors import ArtifactCorruptError, ArtifactError, ArtifactNotFoundError
from tokframe.storage.manifest import MAX_TENSORS, TENSORS, FolderFormat, entry_of, is_plain_name
from tokframe.storage.paths import expanded
from tokframe.storage.state import State, Tensors
from tokframe.storage.strictjson import MAX_JSON_BYTES, canonical_json, shortened

__all__ = ["CONFIG", "FORMAT", "Artifact", "check_origins", "read", "state_sha256", "tokenizer_sha256", "write"]

CONFIG = "config.json"
FORMAT = FolderFormat(
    name="tokframe-artifact",
    version=1,
    manifest="manifest.json",
    noun="saved tokenizer",
    hint="A registered name is given without a slash; `tokframe components` lists them",
    remedy="restore the file or save the tokenizer again",
    required=(CONFIG,),
    keys=frozenset({"format", "format_version", "tokenizer", "components", "files", "sha256"}),
)
_NAMES = ("name", "distribution", "kind", "section")
_KEYS = frozenset({*_NAMES, "distribution_version", "version"})
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]{0,99}|")
#: How often reading begins again because another artifact was put in the place of the one being read.
MAX_READ_ATTEMPTS = 5


@frozen(kw_only=True, eq=False)
class Artifact:
    """A checked artifact: `manifest` as JSON data, `state` with tensors loaded when first used."""

    path: Path
    manifest: Mapping[str, Any]
    state: State

    @property
    def tokenizer(self) -> Mapping[str, Any]:
        """The manifest's entry of that key, which has a `name`."""
        entry: Mapping[str, Any] = self.manifest["tokenizer"]
        return entry

    @property
    def components(self) -> Sequence[Mapping[str, Any]]:
        """The manifest's entries of the parts, each with `section`, `kind` and `name`."""
        entries: Sequence[Mapping[str, Any]] = self.manifest.get("components", [])
        return entries


class _Groups(Mapping[str, Tensors]):
    """Tensor groups read, checked again and parsed when looked up, so that unused weights cost nothing."""

    def __init__(self, path: Path, files: Mapping[str, Mapping[str, Any]]) -> None:
        self._path = path
        self._files = {name.removesuffix(TENSORS): (name, files[name]) for name in files if name.endswith(TENSORS)}
        self._loaded: dict[str, Tensors] = {}

    def __getitem__(self, group: str) -> Tensors:
        if group not in self._loaded:
            from safetensors.numpy import load

            name, entry = self._files[group]
            if not self._path.is_dir():
                raise ArtifactNotFoundError(
                    f"{self._path} was removed after it was loaded, and {name} is read from it only now. Load the "
                    "tokenizer from where it is",
                    path=self._path,
                )
            self._loaded[group] = FORMAT.read_tensors(self._path, name, entry, load)
        return self._loaded[group]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, ([(name, dict(self[name])) for name in self],)


def write(path: str | Path, header: Mapping[str, Any], state: State, *, overwrite: bool = False) -> Path:
    """Write an artifact folder at `path`, whole or not at all; the same state gives the same bytes.

    `header` holds the manifest's `tokenizer` and `components`. Raises: as `FolderFormat.writing`.
    """
    target = expanded(path)
    with FORMAT.writing(target, overwrite=overwrite) as folder:
        FORMAT.fill(folder, header, _contents(target, state))
    return target


def _contents(target: Path, state: State) -> dict[str, bytes]:
    """Return every file of a state but the manifest. Raises: ArtifactError for what `read` would refuse."""
    try:
        config = canonical_json(state.config)
    except (ValueError, TypeError, RecursionError) as error:
        raise ArtifactError(f"the tokenizer's config is not JSON data: {error}", path=target) from error
    if len(config) > MAX_JSON_BYTES:
        raise ArtifactError(f"the tokenizer's config takes more than {MAX_JSON_BYTES} bytes", path=target)
    contents: dict[str, bytes] = {CONFIG: config}
    if crowded := [group for group in state.tensors if len(state.tensors[group]) > MAX_TENSORS]:
        raise ArtifactError(f"the tokenizer's state has more than {MAX_TENSORS:,} arrays in {crowded[0]}", path=target)
    named = [(name, bytes(data)) for name, data in state.files.items()]
    named += [(group + TENSORS, _tensor_bytes(state.tensors[group])) for group in state.tensors]
    for name, data in named:
        if not is_plain_name(name) or name == FORMAT.manifest:
            raise ArtifactError(f"the tokenizer's state has a file named {name!r}, not a plain name", path=target)
        if name in contents:
            raise ArtifactError(f"the tokenizer's state has two files named {name!r}", path=target)
        contents[name] = data
    return contents


def read(path: str | Path) -> Artifact:
    """Read and check an artifact folder: manifest, version, names, sizes and sums of every file, in this order.

    Raises: ArtifactNotFoundError; ArtifactVersionError for a newer format; ArtifactCorruptError naming the file.
    """
    folder = expanded(path).absolute()  # tensors are read later, when the process may stand elsewhere
    for _ in range(MAX_READ_ATTEMPTS):
        before = _stamp(folder)
        try:
            return _read(folder)
        except (ArtifactCorruptError, ArtifactNotFoundError):
            if _stamp(folder) == before:  # else it was replaced by a new one while this one was read
                raise
    return _read(folder)


def tokenizer_sha256(folder: str | Path) -> str:
    """Return the SHA-256 that identifies a saved tokenizer: of its name, version and files. Raises: as `read`."""
    found = read(folder)
    return _sha256(found.tokenizer, found.manifest["files"])


def state_sha256(header: Mapping[str, Any], state: State) -> str:
    """Return the `tokenizer_sha256` of what `write` would write. Raises: ArtifactError."""
    return _sha256(header["tokenizer"], {name: entry_of(data) for name, data in _contents(Path(), state).items()})


def _sha256(tokenizer: Mapping[str, Any], files: Mapping[str, Any]) -> str:
    known = {"name": tokenizer["name"], "version": tokenizer.get("version", 1), "files": files}
    return hashlib.sha256(canonical_json(known)).hexdigest()


def _stamp(folder: Path) -> tuple[int, ...]:
    """Return what changes when another folder is put in the place of this one."""
    try:
        found = os.stat(folder)
    except (OSError, ValueError):  # ValueError: no name of a file
        return ()
    return found.st_dev, found.st_ino, found.st_mtime_ns


def check_origins(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Check every name in a manifest: whoever made it chose them, and they stand in errors and in advice.

    Raises: ArtifactCorruptError.
    """
    tokenizer, components = manifest.get("tokenizer"), manifest.get("components", [])
    if not isinstance(tokenizer, dict) or "name" not in tokenizer:
        raise FORMAT.corrupt(folder, FORMAT.manifest, "names no tokenizer")
    if not isinstance(components, list):
        raise FORMAT.corrupt(folder, FORMAT.manifest, "has components that are not a list")
    for entry, required in [(tokenizer, ("name",)), *((part, ("section", "kind", "name")) for part in components)]:
        if not isinstance(entry, dict):
            raise FORMAT.corrupt(folder, FORMAT.manifest, "has a malformed component")
        if unknown := sorted(entry.keys() - _KEYS):
            raise FORMAT.corrupt(folder, FORMAT.manifest, f"has the unknown key {shortened(unknown[0])}")
        named = {**dict.fromkeys(required), **{key: entry[key] for key in _NAMES if key in entry}}
        for key, value in named.items():
            if not isinstance(value, str) or not (is_plain_name(value) or (key == "distribution" and not value)):
                what = f"has a malformed component, its {key} being" if entry is not tokenizer else f"has the {key}"
                raise FORMAT.corrupt(folder, FORMAT.manifest, f"{what} {shortened(value)}, which is not a plain name")
        version = entry.get("distribution_version", "")
        if not isinstance(version, str) or not _VERSION.fullmatch(version):
            raise FORMAT.corrupt(folder, FORMAT.manifest, f"has the version {shortened(version)}, which is none")


def _read(folder: Path) -> Artifact:
    manifest = FORMAT.read(folder)
    check_origins(folder, manifest)
    files = manifest["files"]
    if files[CONFIG]["bytes"] > MAX_JSON_BYTES:
        raise FORMAT.corrupt(folder, CONFIG, f"is larger than {MAX_JSON_BYTES} bytes")
    small: dict[str, bytes] = {}
    for name, entry in files.items():
        if name.endswith(TENSORS):
            FORMAT.check_file(folder, name, entry)
        else:
            small[name] = FORMAT.read_file(folder, name, entry)
    config = FORMAT.parse(folder, CONFIG, small.pop(CONFIG))
    return Artifact(
        path=folder, manifest=manifest, state=State(config=config, tensors=_Groups(folder, files), files=small)
    )


def _tensor_bytes(tensors: Tensors) -> bytes:
    from safetensors.numpy import save  # no metadata: with two keys its order, and so the bytes, would vary

    data: bytes = save({key: np.ascontiguousarray(value) for key, value in tensors.items()})
    return data
