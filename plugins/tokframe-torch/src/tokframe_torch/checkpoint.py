"""Checkpoint: a training run on disk, one safetensors file and one signed JSON record, each replaced by one rename.

The record, which names the file, is written last, and each step is on disk before the next begins: a run killed at any
moment, or whose machine lost power, resumes from the last complete pair.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import frozen
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from tokframe.errors import TrainingError
from tokframe.storage.atomic import write_atomically
from tokframe.storage.manifest import MAX_TENSORS_BYTES, is_plain_name
from tokframe.storage.regular import read_regular

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

_RECORD = "training.json"
_FORMAT = 4  # 1 had no hash of the record itself, 2 no schedule, 3 was the learned tokenizer's alone
_MAX_RECORD_BYTES = 1 << 26
#: What reading damaged data may raise.
_DAMAGED = (ArithmeticError, LookupError, MemoryError, OSError, RuntimeError, SafetensorError, TypeError, ValueError)
_RESTART = "train again without --resume"


@frozen(kw_only=True, eq=False)
class Checkpoint:
    """`tensors`: weights, optimizer, sampler and random state; `record`: everything else, as JSON data."""

    tensors: Mapping[str, Tensor]
    record: Mapping[str, Any]


def has_checkpoint(folder: Path) -> bool:
    """Return whether a folder has a checkpoint, complete or damaged."""
    return (folder / _RECORD).is_file()


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint in a folder, atomically. Raises: TrainingError if the folder cannot be written."""
    data = _to_bytes(checkpoint.tensors)
    digest = hashlib.sha256(data).hexdigest()
    # Two checkpoints may be of one step: with the hash in its name, no file is ever written over while the record
    # that is on disk names it.
    name = f"training-{int(checkpoint.record['step'])}-{digest[:16]}.safetensors"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / name, data)
        record = dict(checkpoint.record) | {"format": _FORMAT, "file": name, "sha256": digest}
        write_atomically(folder / _RECORD, _signed(record))
    except OSError as error:
        raise TrainingError(
            f"cannot write the checkpoint to {folder}: {error}; the previous one is kept. Free the space, then use "
            "--resume to continue"
        ) from error
    # Only now that the new pair would outlast a power cut.
    for old in [*folder.glob("training-*.safetensors"), *folder.glob(".training*.tmp-*")]:
        if old.name != name:
            with suppress(OSError):
                old.unlink()


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """Return the checkpoint of a folder, or None if it has none.

    Raises: TrainingError if it is damaged or of another format.
    """
    place = folder / _RECORD
    if not place.exists():
        return None
    try:
        raw = read_regular(place, _MAX_RECORD_BYTES)
        record = json.loads(raw)
        if record["format"] != _FORMAT:
            raise TrainingError(
                f"the checkpoint in {folder} has format {record['format']!r}, this version reads {_FORMAT}; {_RESTART}"
            )
        del record["record_sha256"]
        if raw != _signed(record):
            raise TrainingError(f"{place} was altered since it was written; {_RESTART}")
        if not is_plain_name(record["file"]):
            raise ValueError(f"{record['file']!r} is not the name of a file of it")
        data = folder / record["file"]
        contents = read_regular(data, MAX_TENSORS_BYTES)
        if hashlib.sha256(contents).hexdigest() != record["sha256"]:
            raise TrainingError(f"{data} was altered since it was written; {_RESTART}")
        return Checkpoint(tensors=load(contents), record=record)
    except _DAMAGED as error:
        raise unreadable(folder, error) from error


def unreadable(folder: Path, error: Exception) -> TrainingError:
    """Return the error for a checkpoint whose contents make no sense."""
    return TrainingError(f"the checkpoint in {folder} cannot be read: {error!r}; {_RESTART}")


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


def _signed(record: Mapping[str, Any]) -> bytes:
    """Return a record as JSON with the SHA-256 of itself; figures may be NaN, which strict JSON cannot express."""
    plain = json.loads(json.dumps(record))
    own = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
    return json.dumps(plain | {"record_sha256": own}, indent=1, sort_keys=True).encode()
