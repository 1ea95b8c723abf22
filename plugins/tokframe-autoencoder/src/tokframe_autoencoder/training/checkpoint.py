"""A training run on disk: one safetensors file and one JSON record that names it, each put in place by one rename.

The record is written last, and each step is on disk before the next begins, so a run killed at any moment, or one whose
machine lost power, resumes from the last complete pair.
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

__all__ = ["Checkpoint", "pack", "read_checkpoint", "unpack", "write_checkpoint"]

_RECORD = "training.json"
_FORMAT = 3  # 1 had no sum of the record itself, 2 no schedule


@frozen(kw_only=True, eq=False)
class Checkpoint:
    """`tensors`: weights, optimizer, sampler and random state; `record`: everything else, as JSON data."""

    tensors: Mapping[str, Tensor]
    record: Mapping[str, Any]


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint in a folder, atomically. Raises: TrainingError if the folder cannot be written."""
    data = _tensors(checkpoint)
    digest = hashlib.sha256(data).hexdigest()
    # A stage ends and the next begins at one step: with the sum in its name, no file is ever written over while the
    # record that is on disk names it.
    name = f"training-{int(checkpoint.record['step'])}-{digest[:16]}.safetensors"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / name, data)
        record = dict(checkpoint.record) | {"format": _FORMAT, "file": name, "sha256": digest}
        write_atomically(folder / _RECORD, _signed(record))
    except OSError as error:
        raise TrainingError(
            f"cannot write the checkpoint to {folder}: {error}; the one before it is kept. Free the space, then run "
            "the same command with --resume"
        ) from error
    # Only now that the new pair would outlast a power cut.
    for old in [*folder.glob("training-*.safetensors"), *folder.glob("*.part"), *folder.glob(".*.tmp-*")]:
        if old.name != name:
            old.unlink(missing_ok=True)


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """Return the checkpoint of a folder, or None if it has none.

    Raises: TrainingError if it is damaged or of another format.
    """
    place = folder / _RECORD
    if not place.exists():
        return None
    try:
        raw = place.read_bytes()
        record = json.loads(raw)
        if record["format"] != _FORMAT:
            raise TrainingError(
                f"the checkpoint in {folder} has format {record['format']!r}, this version reads {_FORMAT}; "
                "train again without --resume"
            )
        del record["record_sha256"]
        if raw != _signed(record):
            raise TrainingError(f"{place} was altered since it was written; train again without --resume")
        data = folder / str(record["file"])
        contents = data.read_bytes()
        if data.parent != folder or hashlib.sha256(contents).hexdigest() != record["sha256"]:
            raise TrainingError(f"{data} was altered since it was written; train again without --resume")
        return Checkpoint(tensors=load(contents), record=record)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, SafetensorError) as error:
        raise TrainingError(
            f"the checkpoint in {folder} cannot be read: {error!r}; train again without --resume"
        ) from error


def pack(checkpoint: Checkpoint) -> tuple[bytes, bytes]:
    """Return tensors and record as bytes, to send to another process."""
    return _tensors(checkpoint), json.dumps(dict(checkpoint.record)).encode()


def unpack(tensors: bytes, record: bytes) -> Checkpoint:
    """Return what `pack` was given."""
    return Checkpoint(tensors=load(tensors), record=json.loads(record))


def _tensors(checkpoint: Checkpoint) -> bytes:
    data: bytes = save({key: value.detach().cpu().contiguous() for key, value in checkpoint.tensors.items()})
    return data


def _signed(record: Mapping[str, Any]) -> bytes:
    """Return a record as JSON with the SHA-256 of itself; figures may be NaN, which strict JSON has no word for."""
    plain = json.loads(json.dumps(record))
    own = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
    return json.dumps(plain | {"record_sha256": own}, indent=1, sort_keys=True).encode()
