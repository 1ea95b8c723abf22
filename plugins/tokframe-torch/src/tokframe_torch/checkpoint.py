"""Checkpoint: a training run on disk, one file: a digest, a JSON record and tensors; replaced by one rename.

As record and tensors are one file, a run killed at any moment, or whose machine lost power, resumes from the last whole
checkpoint, and whatever else writes there can never mix two.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import frozen
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from tokframe.errors import TrainingError
from tokframe.storage.atomic import write_atomically
from tokframe.storage.manifest import MAX_TENSORS_BYTES
from tokframe.storage.regular import read_regular
from tokframe.training.run_folder import mark_run

__all__ = [
    "Checkpoint",
    "has_checkpoint",
    "pack",
    "read_checkpoint",
    "unpack",
    "unreadable",
    "with_prefix",
    "write_checkpoint",
]

_FILE = "training.checkpoint"
_FORMAT = 5  # the first of one file
_MAGIC = b"tokframe checkpoint %d\n"
_DIGEST_BYTES = 32
#: What reading damaged data may raise.
_DAMAGED = (ArithmeticError, LookupError, MemoryError, RuntimeError, SafetensorError, TypeError, ValueError)


@frozen(kw_only=True, eq=False)
class Checkpoint:
    """`tensors`: weights, optimizer, sampler and random state; `record`: everything else, as JSON data."""

    tensors: Mapping[str, Tensor]
    record: Mapping[str, Any]


def has_checkpoint(folder: Path) -> bool:
    """Return whether a folder has a checkpoint, complete or damaged."""
    return (folder / _FILE).is_file()


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint in a folder, atomically. Raises: TrainingError if the folder cannot be written."""
    data = pack(checkpoint)
    try:
        mark_run(folder)  # it may have been removed since the start
        write_atomically(folder / _FILE, _MAGIC % _FORMAT + hashlib.sha256(data).digest() + data)
    except OSError as error:
        kept = "the previous one is kept. Free the space, then use --resume (resume=True) to continue"
        if not folder.parent.is_dir():
            kept = "it was moved or removed during the run. Put it back and use --resume (resume=True), or start again"
        elif not has_checkpoint(folder):
            kept = "there is none before it. Free the space, or choose another place, and start again"
        raise TrainingError(f"cannot write the checkpoint to {folder}: {error.strerror or error}; {kept}") from error


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """Return the checkpoint of a folder, or None if it has none.

    Raises: TrainingError if it is damaged or of another format.
    """
    place = folder / _FILE
    try:
        raw = read_regular(place, MAX_TENSORS_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable(folder, error) from error
    magic, _, rest = raw.partition(b"\n")
    if magic + b"\n" != _MAGIC % _FORMAT:
        raise TrainingError(f"{place} was altered, or written by another version of tokframe; {_restart(folder)}")
    digest, data = rest[:_DIGEST_BYTES], rest[_DIGEST_BYTES:]
    if hashlib.sha256(data).digest() != digest:
        raise TrainingError(f"{place} was altered since it was written; {_restart(folder)}")
    try:
        return unpack(data)
    except _DAMAGED as error:
        raise unreadable(folder, error) from error


def unreadable(folder: Path, error: Exception) -> TrainingError:
    """Return the error for a checkpoint whose contents make no sense."""
    return TrainingError(f"the checkpoint in {folder} cannot be read: {error!r}; {_restart(folder)}")


def _restart(folder: Path) -> str:
    return f"to start again, remove {folder}"


def pack(checkpoint: Checkpoint) -> bytes:
    """Return a checkpoint as bytes, to send to another process."""
    record = json.dumps(dict(checkpoint.record)).encode()
    return len(record).to_bytes(8, "little") + record + _to_bytes(checkpoint.tensors)


def unpack(data: bytes) -> Checkpoint:
    """Return the checkpoint that `pack` was given."""
    end = 8 + int.from_bytes(data[:8], "little")
    return Checkpoint(tensors=load(data[end:]), record=json.loads(data[8:end]))


def with_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with a prefix, by the rest of their names."""
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}


def _to_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    # Copies, as safetensors refuses tensors that share memory.
    data: bytes = save({key: value.detach().to("cpu", copy=True).contiguous() for key, value in tensors.items()})
    return data
